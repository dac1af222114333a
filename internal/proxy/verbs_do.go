package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"spillway/internal/schedule"
)

// ErrNoDatabase: a verb named a database that no pool and no policy knows.
var ErrNoDatabase = errors.New("no such database")

// ErrNoClient: KillClient named nobody.
var ErrNoClient = errors.New("no such client")

// among lists the pools of db, all of them for "".
func (p *Proxy) among(db string) ([]*pool, error) {
	var list []*pool
	for _, pl := range p.pools.all() {
		if db == "" || pl.key.database == db {
			list = append(list, pl)
		}
	}
	if db != "" && len(list) == 0 && p.policy.Load().database(db) == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoDatabase, db)
	}
	return list, nil
}

type scheduleVerb func(h *schedule.Host, now int64, s *schedule.Pool, out []schedule.Directive) []schedule.Directive

func (p *Proxy) apply(list []*pool, verb scheduleVerb) {
	for _, pl := range list {
		p.carry(verb(pl.up.host, p.now(), pl.sched, nil))
	}
}

// until polls what has no event of its own: verbs are rare.
func until(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Pause implements Verbs.
func (p *Proxy) Pause(ctx context.Context, db string) error {
	list, err := p.among(db)
	if err != nil {
		return err
	}
	if db == "" {
		p.state.CompareAndSwap(stateActive, statePaused)
	}
	for _, pl := range list {
		pl.paused.Store(true)
	}
	p.apply(list, (*schedule.Host).Pause)
	err = until(ctx, func() bool {
		for _, pl := range list {
			if !pl.up.host.Paused(pl.sched) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return errors.Join(fmt.Errorf("pause: %w", err), p.resume(db, list))
	}
	return nil
}

// Resume implements Verbs.
func (p *Proxy) Resume(_ context.Context, db string) error {
	list, err := p.among(db)
	if err != nil {
		return err
	}
	return p.resume(db, list)
}

func (p *Proxy) resume(db string, list []*pool) error {
	if db == "" {
		p.state.CompareAndSwap(statePaused, stateActive)
		if p.state.CompareAndSwap(stateSuspended, stateActive) {
			p.each(func(l *loop) {
				for c := range l.clients {
					l.unstop(&c.endpoint, stopSuspend)
				}
			})
		}
	}
	for _, pl := range list {
		pl.paused.Store(false)
	}
	p.apply(list, (*schedule.Host).Resume)
	return nil
}

// Disable implements Verbs.
func (p *Proxy) Disable(_ context.Context, db string) error { return p.able(db, true) }

// Enable implements Verbs.
func (p *Proxy) Enable(_ context.Context, db string) error { return p.able(db, false) }

func (p *Proxy) able(db string, disabled bool) error {
	list, err := p.among(db)
	if err != nil {
		return err
	}
	p.setDisabled(db, disabled)
	for _, pl := range list {
		pl.disabled.Store(disabled)
	}
	return nil
}

// setDisabled publishes a policy in which db is as said, so that pools to come
// follow too.
func (p *Proxy) setDisabled(db string, disabled bool) {
	p.disables.set(db, disabled)
	p.publish(p.policy.Load().Policy)
}

// Reconnect implements Verbs.
func (p *Proxy) Reconnect(_ context.Context, db string) error {
	list, err := p.among(db)
	if err != nil {
		return err
	}
	mark := p.ids.Add(1)
	p.each(func(l *loop) {
		for s := range l.servers {
			if db == "" || s.pool.key.database == db {
				s.leaveMark = mark
			}
		}
	})
	p.apply(list, (*schedule.Host).Reconnect)
	return nil
}

// WaitClose implements Verbs.
func (p *Proxy) WaitClose(ctx context.Context, db string) error {
	if _, err := p.among(db); err != nil {
		return err
	}
	return until(ctx, func() bool {
		left := false
		p.each(func(l *loop) {
			for s := range l.servers {
				if s.leaveMark != 0 && (db == "" || s.pool.key.database == db) {
					left = true
				}
			}
		})
		return !left
	})
}

// Kill implements Verbs.
func (p *Proxy) Kill(_ context.Context, db string) error {
	list, err := p.among(db)
	if err != nil {
		return err
	}
	for _, pl := range list {
		pl.paused.Store(true)
	}
	if db == "" {
		p.state.CompareAndSwap(stateActive, statePaused)
	}
	p.each(func(l *loop) {
		for c := range l.clients {
			if c.pool != nil && (db == "" || c.pool.key.database == db) {
				l.endClient(c, poolKilled, c.pool.key.database)
			}
		}
	})
	p.apply(list, (*schedule.Host).Kill)
	return nil
}

// KillClient implements Verbs.
func (p *Proxy) KillClient(_ context.Context, id uint64) error {
	found := false
	p.each(func(l *loop) {
		for c := range l.clients {
			if c.id == id && !found {
				found = true
				l.endClient(c, killedByAdmin, "")
			}
		}
	})
	if !found {
		return fmt.Errorf("%w: %d", ErrNoClient, id)
	}
	return nil
}

// Suspend implements Verbs: it reads nothing more from clients and waits until
// what was read is written.
func (p *Proxy) Suspend(ctx context.Context) error {
	p.state.CompareAndSwap(stateActive, stateSuspended)
	p.each(func(l *loop) {
		for c := range l.clients {
			if c.phase == phaseServe {
				l.stop(&c.endpoint, stopSuspend)
			}
		}
	})
	return until(ctx, func() bool {
		idle := true
		p.each(func(l *loop) {
			for c := range l.clients {
				idle = idle && c.pending() == 0
			}
		})
		return idle
	})
}

// each runs f on every loop, one after the other, and waits.
func (p *Proxy) each(f func(l *loop)) {
	for _, l := range p.loops {
		done := make(chan struct{})
		l.post(func() {
			defer close(done)
			if !l.stopped {
				f(l)
			}
		})
		select {
		case <-done:
		case <-p.background.Done():
			return
		}
	}
}
