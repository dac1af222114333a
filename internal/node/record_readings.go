package node

import (
	"context"
	"fmt"
	"time"

	"spillway/internal/record"
	"spillway/internal/record/incident"
)

// readings are the proxy's counts as the record takes them.
type readings struct{ hot *hotpath }

// noWorkload names what belongs to none.
const noWorkload = "(none)"

// Read implements record.Sampler.
func (r *readings) Read(ctx context.Context) (record.Reading, error) {
	now := record.Reading{At: time.Now()}
	loads, err := r.loads(ctx)
	if err != nil {
		return now, err
	}
	for _, l := range loads {
		now.Loads = append(now.Loads, *l)
	}
	upstreams, err := r.hot.Upstreams(ctx)
	if err != nil {
		return now, fmt.Errorf("read upstreams: %w", err)
	}
	for _, u := range upstreams {
		now.Upstreams = append(now.Upstreams, incident.Usage{Upstream: u.Name, Used: u.Used, Usable: u.Usable, Waiting: u.Waiting})
	}
	users, err := r.hot.UserStats(ctx)
	if err != nil {
		return now, fmt.Errorf("read users: %w", err)
	}
	for _, u := range users {
		if u.Clients > 0 {
			now.Principals++
		}
	}
	return now, nil
}

// loads are the workloads' counts, summed up over the upstreams.
func (r *readings) loads(ctx context.Context) (map[string]*record.LoadReading, error) {
	seen, err := r.hot.Watch(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	loads := map[string]*record.LoadReading{}
	of := func(name string) *record.LoadReading {
		if name == "" {
			name = noWorkload
		}
		if loads[name] == nil {
			loads[name] = &record.LoadReading{Workload: name}
		}
		return loads[name]
	}
	for i := range seen.Counts {
		c := &seen.Counts[i]
		l := of(c.Workload)
		l.Failed += c.Failed
		l.Waits, l.Transactions = summed(l.Waits, c.Wait.Counts[:]), summed(l.Transactions, c.Transaction.Counts[:])
	}
	for i := range seen.Holders {
		of(seen.Holders[i].Workload).InUse++
	}
	list, err := r.hot.Workloads(ctx)
	if err != nil {
		return nil, fmt.Errorf("read workloads: %w", err)
	}
	for _, w := range list {
		l := of(w.Name)
		l.Waiting += w.Waiting
		l.OldestWait = max(l.OldestWait, w.OldestWait)
	}
	return loads, nil
}

// summed adds counts to sums, which may be nil.
func summed(sums, counts []uint64) []uint64 {
	if sums == nil {
		return append([]uint64(nil), counts...)
	}
	for n := range min(len(sums), len(counts)) {
		sums[n] += counts[n]
	}
	return sums
}
