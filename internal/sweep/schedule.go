package sweep

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"spillway/internal/sweep/run"
	"spillway/internal/sweep/when"
)

// Timed is a sweep of the config with its schedule.
type Timed struct {
	Order
	Schedule *when.Schedule
}

type timed struct {
	Timed
	next time.Time
	busy bool
}

// Keep replaces the schedule. What runs goes on.
func (c *Crew) Keep(orders []Timed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	before := c.orders
	c.orders = map[string]*timed{}
	for _, o := range orders {
		t := &timed{Timed: o}
		if next, err := o.Schedule.Next(now); err == nil {
			t.next = next
		}
		if old := before[o.Name]; old != nil {
			t.busy = old.busy
		}
		c.orders[o.Name] = t
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// keepTime starts the sweeps of the schedule when their time comes.
func (c *Crew) keepTime() {
	for {
		due, wait, changed := c.due(time.Now())
		for _, o := range due {
			c.work.Go(func() { c.tick(o) })
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-c.ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// due takes the orders whose time has come; one still at work is left out this
// time. wait is until the next one, at most a minute, as clocks are set.
func (c *Crew) due(now time.Time) (due []*timed, wait time.Duration, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait = time.Minute
	for _, t := range c.orders {
		if t.next.IsZero() {
			continue
		}
		if !t.next.After(now) {
			if !t.busy {
				t.busy = true
				due = append(due, t)
			}
			next, err := t.Schedule.Next(now)
			if err != nil {
				next = time.Time{}
			}
			t.next = next
		}
		if !t.next.IsZero() {
			wait = min(wait, t.next.Sub(now))
		}
	}
	return due, max(wait, time.Millisecond), c.changed
}

// tick runs one order: it takes up the sweep of that name that is unfinished,
// or begins another.
func (c *Crew) tick(t *timed) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		t.busy = false
		if now := c.orders[t.Name]; now != nil {
			now.busy = false
		}
	}()
	log := c.config.Log.With("sweep", t.Name)
	place, access, err := c.reach(t.Place)
	if err != nil {
		log.Error("sweep not started", "error", err)
		return
	}
	id, err := c.unfinished(place, access, t)
	if err == nil && id == 0 {
		id, err = access.Begin(c.ctx, t.Order)
	}
	switch {
	case err == nil && id > 0:
		c.run(place, access, id, false)
	case err != nil && refused(err):
		log.Warn("sweep not started", "reason", err)
		c.config.Note("sweep.refused", map[string]any{"name": t.Name, "table": t.Table, "reason": err.Error()})
	case err != nil:
		log.Error("sweep not started", "error", err)
	}
}

// unfinished is the sweep of this name that its deadline or a crash ended: 0
// none, -1 one that runs or that a person paused.
func (c *Crew) unfinished(p Place, access Access, t *timed) (int64, error) {
	list, err := c.list(c.ctx, p, access)
	if err != nil {
		return 0, err
	}
	for _, s := range list {
		switch {
		case s.Name != t.Name || s.Phase.Over() || s.Phase == run.Failed:
		case s.Alive, s.Phase == run.Paused && s.Reason == "":
			return -1, nil
		default:
			return s.ID, nil
		}
	}
	return 0, nil
}

// adoptEvery is how often sweeps without a runner are looked for where one was
// seen to run, scoutEvery where one was seen paused or the schedule has one:
// another node may run it. Elsewhere a node looks once, when it starts, and then
// asks nothing.
const adoptEvery, scoutEvery = 5 * time.Second, time.Minute

// orphaned is how long a sweep of a node must have said nothing.
const orphaned = 5 * time.Second

// adopt takes up sweeps whose node died, or stopped.
func (c *Crew) adopt() {
	tick := time.NewTicker(adoptEvery)
	defer tick.Stop()
	for {
		c.adoptAll(time.Now())
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return
		}
	}
}

// worthALook are the places where a sweep may be without a runner.
func (c *Crew) worthALook(now time.Time) []Place {
	all := c.all()
	c.mu.Lock()
	orders := slices.Collect(maps.Values(c.orders))
	c.mu.Unlock()
	kept := map[Place]bool{}
	for _, t := range orders {
		if full, _, err := c.config.Reach(t.Place); err == nil {
			kept[full] = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(all, func(p Place) bool {
		last, looked := c.looked[p]
		every, open := c.open[p]
		if !open && kept[p] {
			every, open = scoutEvery, true
		}
		return looked && !(open && now.Sub(last) >= every)
	})
}

func (c *Crew) adoptAll(now time.Time) {
	ctx, cancel := context.WithTimeout(c.ctx, 30*time.Second)
	defer cancel()
	for _, p := range c.worthALook(now) {
		p, access, err := c.config.Reach(p)
		if err != nil {
			continue
		}
		list, err := c.list(ctx, p, access)
		if err != nil {
			continue // whoever asks for a list is told; it is looked at again
		}
		c.mu.Lock()
		c.looked[p] = now
		c.mu.Unlock()
		for _, s := range list {
			if s.Phase == run.Running && !s.Alive && strings.HasPrefix(s.Holder, holderNode) && time.Since(s.Beat) > orphaned {
				c.config.Log.Info("sweep without a runner is taken up", "sweep", s.ID, "table", s.Table, "before", s.Holder)
				c.work.Go(func() { c.run(p, access, s.ID, true) })
			}
		}
	}
}

// list reads the sweeps of a place, and remembers how often it is worth a look.
func (c *Crew) list(ctx context.Context, p Place, access Access) ([]run.Sweep, error) {
	list, err := access.List(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, p)
	for i := range list {
		switch list[i].Phase {
		case run.Running:
			c.open[p] = 0
			return list, nil
		case run.Paused:
			c.open[p] = scoutEvery
		case run.Done, run.Failed, run.Cancelled:
		}
	}
	return list, nil
}
