package act

import (
	"context"
	"fmt"
	"time"
)

// A kill goes in steps, so that a mistake in the selection shows before all is
// hit: each is a quarter of the targets, and at most 50.
const (
	stepShare = 4
	stepMost  = 50
	// stepPause is between steps, lookEvery between looks at what is left.
	stepPause = 300 * time.Millisecond
	lookEvery = 100 * time.Millisecond
)

func (r *Room) ground(o *Order) (Ground, error) {
	if o.Kind != Terminate {
		return r.Ground, nil
	}
	if r.Foreign == nil {
		return nil, wrong("there is no server to look at", "")
	}
	return r.Foreign(o.Server)
}

func (r *Room) previewKill(ctx context.Context, a *Action, _ *Rules) error {
	ground, err := r.ground(&a.Order)
	if err != nil {
		return err
	}
	return r.previewHolders(ctx, ground, a, &a.Order.Select)
}

func (r *Room) previewHolders(ctx context.Context, ground Ground, a *Action, s *Selection) error {
	list, err := ground.Holders(ctx)
	if err != nil {
		return err
	}
	hits, guarded := s.Pick(list, time.Now())
	a.Guarded, a.Hits = guarded, make([]Hit, len(hits))
	for i, h := range hits {
		a.Hits[i] = Hit{Holder: h}
	}
	return nil
}

func (r *Room) applyKill(ctx context.Context, a *Action, _ *Rules) error {
	ground, err := r.ground(&a.Order)
	if err != nil {
		return err
	}
	return r.strike(ctx, ground, a)
}

// strike cancels the action's hits step by step, waits for them to be gone, and
// terminates after the grace those that are not.
func (r *Room) strike(ctx context.Context, ground Ground, a *Action) error {
	text := fmt.Sprintf("killed by %s", a.Who)
	if a.Order.Reason != "" {
		text += ": " + a.Order.Reason
	}
	blow := func(at []int, terminate bool) error {
		targets := make([]Holder, len(at))
		for i, n := range at {
			targets[i] = a.Hits[n].Holder
		}
		outcomes, err := ground.Strike(ctx, targets, terminate, text)
		for i, outcome := range outcomes {
			if hit := &a.Hits[at[i]]; outcome != "gone" || hit.Outcome == "" {
				hit.Outcome = outcome
			}
		}
		return err
	}
	all := make([]int, len(a.Hits))
	for i := range all {
		all[i] = i
	}
	if err := inSteps(ctx, all, func(at []int) error { return blow(at, false) }); err != nil {
		return err
	}
	left, err := r.await(ctx, ground, a, time.Duration(a.Order.Grace))
	if err != nil || len(left) == 0 {
		return err
	}
	return inSteps(ctx, left, func(at []int) error { return blow(at, true) })
}

// inSteps hands out indices step by step.
func inSteps(ctx context.Context, all []int, do func([]int) error) error {
	step := max(1, min(stepMost, len(all)/stepShare))
	for len(all) > 0 {
		n := min(step, len(all))
		if err := do(all[:n]); err != nil {
			return err
		}
		if all = all[n:]; len(all) == 0 {
			return nil
		}
		select {
		case <-time.After(stepPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// await looks until none of the hits is there any more, or the grace is over.
func (r *Room) await(ctx context.Context, ground Ground, a *Action, grace time.Duration) (left []int, err error) {
	over := time.After(grace)
	for {
		list, err := ground.Holders(ctx)
		if err != nil {
			return nil, err
		}
		if left = still(a.Hits, list); len(left) == 0 {
			return nil, nil
		}
		select {
		case <-time.After(lookEvery):
		case <-over:
			return left, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// still are the hits that were struck and that list shows again as they were.
func still(hits []Hit, list []Holder) []int {
	type who struct {
		client uint64
		pid    int
	}
	seen := make(map[who]*Holder, len(list))
	for i := range list {
		seen[who{list[i].Client, list[i].PID}] = &list[i]
	}
	var left []int
	for i := range hits {
		h := &hits[i]
		if h.Outcome == "gone" || h.Outcome == "terminated" {
			continue
		}
		if now := seen[who{h.Client, h.PID}]; now != nil && h.same(now) {
			left = append(left, i)
		}
	}
	return left
}

// previewPause shows what --cancel would hit.
func (r *Room) previewPause(ctx context.Context, a *Action, rules *Rules) error {
	if err := r.previewWorkload(ctx, a, rules); err != nil || !a.Order.Cancel {
		return err
	}
	return r.previewHolders(ctx, r.Ground, a, &Selection{Workload: literal(a.Order.Workload)})
}

// applyPause pauses first, so that nothing comes after what is cancelled.
func (r *Room) applyPause(ctx context.Context, a *Action, rules *Rules) error {
	if err := r.stand(ctx, a, rules); err != nil || !a.Order.Cancel {
		return err
	}
	if err := r.previewPause(ctx, a, rules); err != nil {
		return err
	}
	if err := r.capped(a, rules); err != nil {
		a.Notes = append(a.Notes, "paused, but nothing was cancelled: "+err.Error())
		return nil
	}
	if err := r.strike(ctx, r.Ground, a); err != nil {
		a.Notes = append(a.Notes, "paused, but not all was cancelled: "+err.Error())
	}
	return nil
}

// literal is a glob that fits name alone.
func literal(name string) string {
	var out []byte
	for i := range len(name) {
		switch name[i] {
		case '*', '?', '[', '\\':
			out = append(out, '\\')
		}
		out = append(out, name[i])
	}
	return string(out)
}
