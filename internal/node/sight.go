package node

import (
	"context"

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
	seen := brake.Sight{Bounds: proxy.HistogramBounds()}
	for i := range pools {
		p := &pools[i]
		if p.Upstream != s.upstream {
			continue
		}
		all.Add(&p.Transaction)
		seen.QueueWait = max(seen.QueueWait, p.OldestWait)
		seen.Used += p.ServersActive
	}
	seen.Counts = append([]uint64(nil), all.Counts[:]...)
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
