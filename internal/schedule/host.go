package schedule

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pace bounds server logins: Parallel at once, PerSecond after a burst of Burst. On a calm host what PerSecond allows is
// saved up to one login for every slot; see Host.burst.
type Pace struct {
	Parallel  int     // default 4
	PerSecond float64 // default 20
	Burst     int     // default 10
}

// HostConfig is what an operator sets about one PostgreSQL host.
type HostConfig struct {
	// Usable is how many slots the pools share: the lesser of what is configured and what the server has left for us.
	Usable int
	// Operator slots come on top of Usable and are never lent.
	Operator int
	// Connect paces server logins.
	Connect Pace
	// EvictGrace is how old a server must be before another pool may have its slot, and by how much that pool's waiter must
	// be ahead; default 100 ms, negative none.
	EvictGrace time.Duration
	// ReclaimGrace is how long a waiter below its workload's guarantee waits before batch work on a lent slot is cancelled;
	// default 1 s, negative never.
	ReclaimGrace time.Duration
	// LoopReach lets a waiter of the released server's own loop go before up to LoopReach-1 earlier ones of other loops; no
	// waiter is passed more than LoopReach times. 0 and 1 are strict FIFO.
	LoopReach int
	// Loops is how many event loops there are; servers opened for Min are spread over them. Default 1.
	Loops int
	// FailFast fails waiters at once while logins fail and their pool has no server, as PgBouncer does.
	FailFast bool
	// Workloads of this host; the one named "default", or else an unbounded one, takes waiters without a workload.
	Workloads []WorkloadConfig
	// Seed of the jitter; 0 is random.
	Seed uint64
}

// DefaultWorkload is the name of the workload of waiters that name none.
const DefaultWorkload = "default"

func (c HostConfig) withDefaults() HostConfig {
	if c.Connect.Parallel <= 0 {
		c.Connect.Parallel = 4
	}
	if !(c.Connect.PerSecond > 0) {
		c.Connect.PerSecond = 20
	}
	if c.Connect.Burst <= 0 {
		c.Connect.Burst = 10
	}
	if c.EvictGrace == 0 {
		c.EvictGrace = 100 * time.Millisecond
	}
	if c.ReclaimGrace == 0 {
		c.ReclaimGrace = time.Second
	}
	c.Loops = max(c.Loops, 1)
	c.Usable, c.Operator = max(c.Usable, 0), max(c.Operator, 0)
	return c
}

// Host is the budget of one PostgreSQL host, shared by all its pools.
type Host struct {
	// mu guards every field below and every unexported field of the host's Pools, Workloads, Servers and queued Waiters.
	// Every exported method takes it, none calls out while holding it, and it is never held across anything slow: callers
	// on several event loops wait for each other for well under a microsecond.
	mu  sync.Mutex
	cfg HostConfig
	now int64 // the latest time any caller brought; time never goes back
	rng *rand.Rand

	shared   slots // for everybody but operators; its size is cfg.Usable, less while squeezed
	reserved slots // for operators
	held     int   // shared slots kept for workloads that may not lend them

	pools     []*Pool
	queues    []*Pool // pools with waiters
	waiting   int     // waiters in all of them
	workloads []*Workload
	fallback  *Workload
	operators *Workload // account of operator pools; in no share

	epoch   uint64 // counts the times waiting rose from 0
	epochAt int64
	floor   spent  // the most that a workload served from a queue in this epoch had used
	seq     uint64 // waiters queued so far
	round   uint64 // counts calls of raise; see lane.tried
	loop    int    // next loop for a server opened without a waiter

	pace    bucket
	unrest  unrest
	breaker breaker
	squeeze squeeze

	next atomic.Int64 // when Tick has something to do; the one field read without mu
}

// slots counts the servers that fill one kind of slot.
type slots struct {
	size    int // how many slots there are
	total   int // servers in any state but Closed
	active  int
	opening int
	closing int
	making  int // of the closing, those that make room for a waiter
}

// NewHost returns a Host with no pools.
func NewHost(cfg HostConfig) *Host {
	seed := cfg.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	h := &Host{rng: rand.New(rand.NewPCG(seed, seed))}
	h.operators = &Workload{host: h, cfg: WorkloadConfig{Name: "operators"}}
	h.operators.derive(0, 1)
	h.configure(cfg)
	h.pace.tokens = float64(h.cfg.Connect.Burst)
	h.startEpoch()
	return h
}

// Configure replaces the configuration while everything runs; it is also how usable follows foreign connections and how
// workload limits and pauses change. Servers beyond a smaller Usable close: idle ones now, the others when released.
// Workloads keep their identity by name; one that is gone serves what it has and takes nobody new.
func (h *Host) Configure(now int64, cfg HostConfig, out []Directive) []Directive {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.advance(now)
	h.configure(cfg)
	out = h.trim(out)
	return h.pump(out)
}

// Workload returns the workload of that name, or nil.
func (h *Host) Workload(name string) *Workload {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.workload(name)
}

func (h *Host) workload(name string) *Workload {
	for _, w := range h.workloads {
		if w.cfg.Name == name && !w.gone {
			return w
		}
	}
	return nil
}

// NextTick returns when Tick should be called again. It may be called at any time and takes no lock.
func (h *Host) NextTick() int64 { return h.next.Load() }

// wake brings the next Tick forward to at.
func (h *Host) wake(at int64) {
	if at < h.next.Load() {
		h.next.Store(at)
	}
}

// advance moves the host's clock; loops whose clocks differ by a turn never turn it back.
func (h *Host) advance(now int64) {
	if h.now == 0 && now > 0 {
		h.unrest.until = now + unrestStart
	}
	if now > h.now {
		h.now = now
	}
}

// configure applies cfg and derives what follows from it.
func (h *Host) configure(cfg HostConfig) {
	h.cfg = cfg.withDefaults()
	for _, w := range h.workloads {
		w.gone = true
	}
	for _, c := range h.cfg.Workloads {
		h.upsert(c)
	}
	h.fallback = h.workload(DefaultWorkload)
	if h.fallback == nil {
		h.fallback = h.upsert(WorkloadConfig{Name: DefaultWorkload})
	}
	h.sweepWorkloads()
	h.resize()
}

// upsert adds or changes one workload; of two with the same name the last counts.
func (h *Host) upsert(c WorkloadConfig) *Workload {
	for _, w := range h.workloads {
		if w.cfg.Name == c.Name {
			w.cfg, w.gone = c, false
			return w
		}
	}
	w := &Workload{host: h, cfg: c, at: h.now, epoch: h.epoch}
	h.workloads = append(h.workloads, w)
	return w
}

// sweepWorkloads strips workloads that are no longer configured of their share, and drops those that hold nothing.
func (h *Host) sweepWorkloads() {
	kept := h.workloads[:0]
	for _, w := range h.workloads {
		if w.gone {
			w.cfg.Share, w.cfg.Mode, w.cfg.Pause = 0, Off, NotPaused
		}
		if !w.gone || w.inUse+w.waiting+w.coming+w.reclaiming > 0 {
			kept = append(kept, w)
		}
	}
	if len(kept) < len(h.workloads) {
		clear(h.workloads[len(kept):])
		h.workloads = kept
		for _, p := range h.pools {
			p.lanes = slices.DeleteFunc(p.lanes, func(l *lane) bool { return !slices.Contains(append(kept, h.operators), l.work) })
		}
	}
}

// resize derives usable and every workload's bounds.
func (h *Host) resize() {
	h.shared.size = h.squeeze.apply(h.cfg.Usable)
	h.reserved.size = h.cfg.Operator
	shares := 0
	for _, w := range h.workloads {
		shares += max(0, w.cfg.Share)
	}
	h.held = 0
	for _, w := range h.workloads {
		w.derive(h.shared.size, shares)
		h.held += w.owing()
	}
}
