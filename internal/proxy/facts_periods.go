package proxy

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// statsPeriods keeps the readings between which averages are taken.
type statsPeriods struct {
	mu      sync.Mutex // guards what follows
	at      time.Time
	last    map[string]Counters
	average map[string]Counters
}

// step ends a period when its time has come.
func (s *statsPeriods) step(p *Proxy) {
	every := p.policy.Load().StatsPeriod
	if every <= 0 {
		every = time.Minute
	}
	s.mu.Lock()
	due := time.Since(s.at) >= every
	s.mu.Unlock()
	if !due {
		return
	}
	totals, err := p.totals(p.background)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	span := time.Since(s.at).Seconds()
	first := s.at.IsZero()
	s.average = map[string]Counters{}
	for db, now := range totals {
		if !first {
			s.average[db] = averageOf(s.last[db], now, span)
		}
	}
	s.last, s.at = totals, time.Now()
}

func averageOf(was, now Counters, seconds float64) Counters {
	per := func(a, b uint64) uint64 { return uint64(float64(b-a) / seconds) }
	each := func(a, b, na, nb uint64) uint64 {
		if nb <= na {
			return 0
		}
		return (b - a) / (nb - na)
	}
	return Counters{
		Assignments: per(was.Assignments, now.Assignments), Transactions: per(was.Transactions, now.Transactions),
		Queries: per(was.Queries, now.Queries), ReceivedBytes: per(was.ReceivedBytes, now.ReceivedBytes), SentBytes: per(was.SentBytes, now.SentBytes),
		TransactionMicros: each(was.TransactionMicros, now.TransactionMicros, was.Transactions, now.Transactions),
		QueryMicros:       each(was.QueryMicros, now.QueryMicros, was.Queries, now.Queries),
		WaitMicros:        per(was.WaitMicros, now.WaitMicros),
		ClientParses:      per(was.ClientParses, now.ClientParses), ServerParses: per(was.ServerParses, now.ServerParses), Binds: per(was.Binds, now.Binds),
	}
}

func (p *Proxy) totals(ctx context.Context) (map[string]Counters, error) {
	pools, err := p.Pools(ctx)
	if err != nil {
		return nil, err
	}
	sum := map[string]Counters{}
	for i := range pools {
		c := sum[pools[i].Database]
		c.add(&pools[i].Counters)
		sum[pools[i].Database] = c
	}
	return sum, nil
}

// Stats implements Facts.
func (p *Proxy) Stats(ctx context.Context) ([]Period, error) {
	totals, err := p.totals(ctx)
	if err != nil {
		return nil, err
	}
	p.period.mu.Lock()
	defer p.period.mu.Unlock()
	list := make([]Period, 0, len(totals))
	for db, c := range totals {
		list = append(list, Period{Database: db, Total: c, Average: p.period.average[db]})
	}
	slices.SortFunc(list, func(a, b Period) int { return strings.Compare(a.Database, b.Database) })
	return list, nil
}
