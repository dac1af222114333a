package web

import (
	"context"
	"errors"

	"spillway/internal/proxy"
)

// maxPending bounds the readings that wait for an event loop.
const maxPending = 32

var errPending = errors.New("too many readings wait for the event loops")

// patience reads facts and stops waiting when its context ends, also where the
// reading itself does not: a loop that is stuck is what health and metrics are
// asked about. Readings left behind are bounded; above that it fails at once.
type patience struct {
	proxy.Facts
	pending chan struct{} // holds a token per reading
}

func newPatience(f proxy.Facts) *patience {
	return &patience{Facts: f, pending: make(chan struct{}, maxPending)}
}

func patient[T any](ctx context.Context, p *patience, read func(context.Context) (T, error)) (T, error) {
	type reading struct {
		facts T
		err   error
	}
	var none T
	select {
	case p.pending <- struct{}{}:
	default:
		return none, errPending
	}
	done := make(chan reading, 1)
	go func() {
		defer func() { <-p.pending }()
		facts, err := read(ctx)
		done <- reading{facts, err}
	}()
	select {
	case r := <-done:
		return r.facts, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// Pools is proxy.Facts's.
func (p *patience) Pools(ctx context.Context) ([]proxy.PoolStat, error) {
	return patient(ctx, p, p.Facts.Pools)
}

// Clients is proxy.Facts's.
func (p *patience) Clients(ctx context.Context) ([]proxy.ConnStat, error) {
	return patient(ctx, p, p.Facts.Clients)
}

// Servers is proxy.Facts's.
func (p *patience) Servers(ctx context.Context) ([]proxy.ConnStat, error) {
	return patient(ctx, p, p.Facts.Servers)
}

// Databases is proxy.Facts's.
func (p *patience) Databases(ctx context.Context) ([]proxy.DatabaseStat, error) {
	return patient(ctx, p, p.Facts.Databases)
}

// UserStats is proxy.Facts's.
func (p *patience) UserStats(ctx context.Context) ([]proxy.UserStat, error) {
	return patient(ctx, p, p.Facts.UserStats)
}

// Workloads is proxy.Facts's.
func (p *patience) Workloads(ctx context.Context) ([]proxy.WorkloadStat, error) {
	return patient(ctx, p, p.Facts.Workloads)
}

// Upstreams is proxy.Facts's.
func (p *patience) Upstreams(ctx context.Context) ([]proxy.UpstreamStat, error) {
	return patient(ctx, p, p.Facts.Upstreams)
}

// Stats is proxy.Facts's.
func (p *patience) Stats(ctx context.Context) ([]proxy.Period, error) {
	return patient(ctx, p, p.Facts.Stats)
}

// Gauges is proxy.Facts's.
func (p *patience) Gauges(ctx context.Context) (proxy.Gauges, error) {
	return patient(ctx, p, p.Facts.Gauges)
}

// DNS is proxy.Facts's.
func (p *patience) DNS(ctx context.Context) ([]proxy.DNSStat, error) {
	return patient(ctx, p, p.Facts.DNS)
}
