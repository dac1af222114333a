package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// measured is what was seen of one trouble.
type measured struct {
	trouble
	without, with figures
	stay          time.Duration   // the longest that the trouble was there
	took          []time.Duration // until it was a finding
	seen          []string        // what check said
	last          finding
}

// measure puts slices with the trouble between slices without it.
func (r *rig) measure(ctx context.Context, t trouble) (*measured, error) {
	m := &measured{trouble: t}
	var warm figures
	if err := r.pair(ctx, &warm); err != nil {
		return nil, err
	}
	if t.stays {
		return m, r.stretch(ctx, m)
	}
	for round := range r.rounds {
		if err := r.pair(ctx, &m.without); err != nil {
			return nil, err
		}
		if err := r.during(ctx, m, time.Time{}); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		m.progress(fmt.Sprintf("round %d of %d", round+1, r.rounds))
	}
	// After the last trouble too, so that slices without it are on both sides.
	return m, r.pair(ctx, &m.without)
}

// mostWithout bounds the pairs of slices without a trouble that lasts.
const mostWithout = 20

// stretch is one trouble of -minutes, with as many slices without it up to
// mostWithout pairs, half of them before.
func (r *rig) stretch(ctx context.Context, m *measured) error {
	stay := time.Duration(r.minutes * float64(time.Minute))
	pairs := min(max(int(stay/(2*time.Duration(r.seconds)*time.Second)), 2), mostWithout)
	for range pairs / 2 {
		if err := r.pair(ctx, &m.without); err != nil {
			return err
		}
	}
	if err := r.during(ctx, m, time.Now().Add(stay)); err != nil {
		return err
	}
	m.progress(stay.String())
	for range pairs - pairs/2 {
		if err := r.pair(ctx, &m.without); err != nil {
			return err
		}
	}
	return nil
}

// during makes the trouble, measures from its first moment until end, one pair
// at least, and until it is a finding; then mends it and waits until that is
// cleared.
func (r *rig) during(ctx context.Context, m *measured, end time.Time) error {
	// A finding of the trouble before may have come back for a moment.
	if _, err := r.watch.until(ctx, m.trouble, false); err != nil {
		return err
	}
	began := time.Now()
	if err := m.make(ctx); err != nil {
		return fmt.Errorf("make the trouble: %w", err)
	}
	for first := true; first || time.Now().Before(end); first = false {
		if err := r.pair(ctx, &m.with); err != nil {
			return fmt.Errorf("with the trouble: %w", err)
		}
	}
	found, err := r.watch.until(ctx, m.trouble, true)
	if err != nil {
		return err
	}
	said, err := m.check(ctx)
	if err != nil {
		return err
	}
	m.last, m.took, m.seen = found, append(m.took, found.seen.Sub(began)), append(m.seen, said)
	m.stay = max(m.stay, time.Since(began))
	if err := m.mend(ctx); err != nil {
		return fmt.Errorf("mend the trouble: %w", err)
	}
	_, err = r.watch.until(ctx, m.trouble, false)
	return err
}

// progress is a line for who waits.
func (m *measured) progress(done string) {
	n, k := len(m.with.tps)-1, len(m.without.tps)-1
	fmt.Fprintf(os.Stderr, "%s %s: %s; %.0f tps with, %.0f without; p99 %.2f ms, %.2f; a finding after %s\n", time.Now().UTC().Format(time.TimeOnly), m.name, done,
		m.with.tps[n], m.without.tps[k], m.with.p99[n], m.without.p99[k], m.took[len(m.took)-1].Round(100*time.Millisecond))
}
