package sweep

import (
	"context"
	"time"

	"spillway/internal/sweep/run"
)

// weighEvery is one window of the judgement over a sweep under way: long enough
// for a sample to tell what came in it.
const weighEvery = 10 * time.Minute

// weighWithin bounds one sample.
const weighWithin = 30 * time.Second

// watchGrowth judges a sweep while it is under way, every ten minutes, and when
// its run has ended. ended is closed then.
func (c *Crew) watchGrowth(k key, access Access, ended <-chan struct{}) {
	tick := time.NewTicker(weighEvery)
	defer tick.Stop()
	behind := 0
	for {
		select {
		case <-tick.C:
			behind = c.weighOnce(k, access, behind)
		case <-ended:
			c.judgeRuns(k, access, behind)
			return
		}
	}
}

// weighOnce judges the sweep as it is now and returns how many windows in a row
// it has been behind.
func (c *Crew) weighOnce(k key, access Access, behind int) int {
	c.mu.Lock()
	var s run.Sweep
	if w := c.live[k]; w != nil {
		s = w.now.Sweep
	}
	c.mu.Unlock()
	if s.ID == 0 || s.Phase != run.Running {
		return behind
	}
	ctx, cancel := context.WithTimeout(c.ctx, weighWithin)
	defer cancel()
	arrivals, known, err := access.Arrivals(ctx, &s)
	if err != nil || !known {
		return behind
	}
	s.Beat = time.Now()
	g := weigh(&s, arrivals, behind)
	c.grown(k.place, g)
	return g.Behind
}

// judgeRuns compares the run that has ended with those before.
func (c *Crew) judgeRuns(k key, access Access, behind int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), weighWithin)
	defer cancel()
	if c.ctx.Err() != nil {
		return // the node is stopping
	}
	list, err := c.list(ctx, k.place, access)
	if err != nil {
		return
	}
	s, err := Find(list, fmtID(k.id))
	if err != nil || s.Phase != run.Done && behind >= windows {
		return // what was found under way stands
	}
	for _, g := range growth(list) {
		if g.Table == s.Table && g.Condition == s.Job.Order.Where {
			c.grown(k.place, g)
		}
	}
}

func (c *Crew) grown(p Place, g Growth) {
	g.Server = p.Server
	c.config.Grown(g)
}
