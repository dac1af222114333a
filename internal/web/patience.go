package web

import (
	"context"
	"errors"
	"sync"
	"time"

	"spillway/internal/proxy"
)

// patience reads facts and stops waiting when its context ends, also where the
// reading itself does not: a loop that is stuck is what health and metrics are
// asked about.
//
// A reading is work for the event loops, and anybody who reaches the admin
// address may ask for one. So there is one at a time, whoever asks meanwhile
// shares the next (it begins after they asked: nobody is told of a past that
// they have already changed), and after each the loops have four times as long
// to themselves.
type patience struct {
	pools     batch[[]proxy.PoolStat]
	clients   batch[[]proxy.ConnStat]
	servers   batch[[]proxy.ConnStat]
	databases batch[[]proxy.DatabaseStat]
	users     batch[[]proxy.UserStat]
	workloads batch[[]proxy.WorkloadStat]
	upstreams batch[[]proxy.UpstreamStat]
	stats     batch[[]proxy.Period]
	gauges    batch[proxy.Gauges]
	dns       batch[[]proxy.DNSStat]
}

var errStuck = errors.New("the event loops have not answered the reading before this one")

// Bounds on what readings take of the loops' time.
const (
	restFactor  = 4                      // the loops' own time after a reading, in its lengths
	longestRest = 500 * time.Millisecond // also after one that took long
)

// gate lets one reading through at a time.
type gate struct {
	turn chan struct{} // holds a token while somebody reads

	mu    sync.Mutex
	began time.Time     // guarded by mu; zero while nobody reads
	ended time.Time     // guarded by mu; of the last reading
	took  time.Duration // guarded by mu
}

// stuck reports whether the reading under way will hardly end in time.
func (g *gate) stuck() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.began.IsZero() && time.Since(g.began) >= factsTimeout
}

// enter waits for the turn and for the loops' rest. After an error there is
// nothing to leave.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	g.mu.Lock()
	rest := time.NewTimer(time.Until(g.ended.Add(min(restFactor*g.took, longestRest))))
	g.mu.Unlock()
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
		<-g.turn
		return ctx.Err()
	}
	g.mu.Lock()
	g.began = time.Now()
	g.mu.Unlock()
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	g.ended = time.Now()
	g.took, g.began = g.ended.Sub(g.began), time.Time{}
	g.mu.Unlock()
	<-g.turn
}

// batch is one kind of reading, shared by all who ask at a time.
type batch[T any] struct {
	gate *gate
	read func(context.Context) (T, error)

	mu   sync.Mutex
	next *shared[T] // guarded by mu; not begun yet, nil when nobody waits
	work bool       // guarded by mu; a goroutine is reading
}

// shared is one answer to many. What it holds is shared: nobody changes it.
type shared[T any] struct {
	done  chan struct{} // closed when value and err are there
	value T
	err   error
}

// get reads, or shares a reading that begins from now on.
func (b *batch[T]) get(ctx context.Context) (T, error) {
	var none T
	if b.gate.stuck() {
		return none, errStuck
	}
	b.mu.Lock()
	if b.next == nil {
		b.next = &shared[T]{done: make(chan struct{})}
	}
	mine := b.next
	if !b.work {
		b.work = true
		go b.serve()
	}
	b.mu.Unlock()
	select {
	case <-mine.done:
		return mine.value, mine.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// serve reads for as long as somebody waits.
func (b *batch[T]) serve() {
	for {
		_ = b.gate.enter(context.Background()) // which does not end
		b.mu.Lock()
		r := b.next
		b.next = nil
		b.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), factsTimeout)
		r.value, r.err = b.read(ctx)
		cancel()
		b.gate.leave()
		close(r.done)
		b.mu.Lock()
		if b.next == nil {
			b.work = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
	}
}

func newPatience(f proxy.Facts) *patience {
	// Lists of connections are long: what health asks about does not wait for them.
	light, heavy := newGate(), newGate()
	return &patience{
		pools: batch[[]proxy.PoolStat]{gate: light, read: f.Pools}, databases: batch[[]proxy.DatabaseStat]{gate: light, read: f.Databases},
		users: batch[[]proxy.UserStat]{gate: light, read: f.UserStats}, workloads: batch[[]proxy.WorkloadStat]{gate: light, read: f.Workloads},
		upstreams: batch[[]proxy.UpstreamStat]{gate: light, read: f.Upstreams}, stats: batch[[]proxy.Period]{gate: light, read: f.Stats},
		gauges: batch[proxy.Gauges]{gate: light, read: f.Gauges}, dns: batch[[]proxy.DNSStat]{gate: light, read: f.DNS},
		clients: batch[[]proxy.ConnStat]{gate: heavy, read: f.Clients}, servers: batch[[]proxy.ConnStat]{gate: heavy, read: f.Servers},
	}
}

func newGate() *gate { return &gate{turn: make(chan struct{}, 1)} }

// Pools is proxy.Facts's.
func (p *patience) Pools(ctx context.Context) ([]proxy.PoolStat, error) { return p.pools.get(ctx) }

// Clients is proxy.Facts's.
func (p *patience) Clients(ctx context.Context) ([]proxy.ConnStat, error) { return p.clients.get(ctx) }

// Servers is proxy.Facts's.
func (p *patience) Servers(ctx context.Context) ([]proxy.ConnStat, error) { return p.servers.get(ctx) }

// Databases is proxy.Facts's.
func (p *patience) Databases(ctx context.Context) ([]proxy.DatabaseStat, error) {
	return p.databases.get(ctx)
}

// UserStats is proxy.Facts's.
func (p *patience) UserStats(ctx context.Context) ([]proxy.UserStat, error) { return p.users.get(ctx) }

// Workloads is proxy.Facts's.
func (p *patience) Workloads(ctx context.Context) ([]proxy.WorkloadStat, error) {
	return p.workloads.get(ctx)
}

// Upstreams is proxy.Facts's.
func (p *patience) Upstreams(ctx context.Context) ([]proxy.UpstreamStat, error) {
	return p.upstreams.get(ctx)
}

// Stats is proxy.Facts's.
func (p *patience) Stats(ctx context.Context) ([]proxy.Period, error) { return p.stats.get(ctx) }

// Gauges is proxy.Facts's.
func (p *patience) Gauges(ctx context.Context) (proxy.Gauges, error) { return p.gauges.get(ctx) }

// DNS is proxy.Facts's.
func (p *patience) DNS(ctx context.Context) ([]proxy.DNSStat, error) { return p.dns.get(ctx) }
