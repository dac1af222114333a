package node

import (
	"context"
	"time"

	"spillway/internal/proxy"
	"spillway/internal/sweep/brake"
)

// sight is what the proxy knows of one server's clients, for the brakes of a
// sweep there.
type sight struct {
	hot      *hotpath
	upstream string
}

// Sight implements brake.Traffic.
func (s *sight) Sight(ctx context.Context) (brake.Sight, error) {
	pools, err := s.hot.Pools(ctx)
	if err != nil {
		return brake.Sight{}, err
	}
	var all proxy.Histogram
	var wait time.Duration
	seen := brake.Sight{Bounds: proxy.HistogramBounds()}
	for i := range pools {
		p := &pools[i]
		if p.Upstream != s.upstream {
			continue
		}
		all.Add(&p.Transaction)
		wait = max(wait, p.OldestWait)
		seen.Used += p.ServersActive
	}
	seen.Counts = append([]uint64(nil), all.Counts[:]...)
	if seen.QueueWait, err = s.queue(ctx, wait); err != nil {
		return brake.Sight{}, err
	}
	ups, err := s.hot.Upstreams(ctx)
	if err != nil {
		return brake.Sight{}, err
	}
	for _, u := range ups {
		if u.Name == s.upstream {
			seen.Usable = u.Usable
		}
	}
	return seen, nil
}

// Held implements brake.Traffic.
func (s *sight) Held() int { return s.hot.Held(s.upstream) }

// queue is the longest wait in a critical workload. Without one it is that of
// whoever is no batch, and without workloads that of anyone.
func (s *sight) queue(ctx context.Context, anyone time.Duration) (time.Duration, error) {
	workloads, err := s.hot.Workloads(ctx)
	if err != nil {
		return 0, err
	}
	var known, critical bool
	var first, normal time.Duration
	for i := range workloads {
		w := &workloads[i]
		if w.Upstream != s.upstream {
			continue
		}
		known = true
		switch w.Class {
		case "critical":
			critical = true
			first = max(first, w.OldestWait)
		case "batch":
		default:
			normal = max(normal, w.OldestWait)
		}
	}
	switch {
	case critical:
		return first, nil
	case known:
		return normal, nil
	}
	return anyone, nil
}
