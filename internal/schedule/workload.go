package schedule

import (
	"math"
	"time"
)

// Class orders workloads beyond their guarantees.
type Class uint8

const (
	Normal Class = iota
	Critical
	Batch
)

// order is the rank of a class: smaller is served first.
func (c Class) order() int {
	switch c {
	case Critical:
		return 0
	case Batch:
		return 2
	case Normal:
	}
	return 1
}

// Mode says whether a workload's bounds act, only count what they would have done, or do nothing.
type Mode uint8

const (
	Off Mode = iota
	Warn
	Enforce
)

// Pausing says what happens to new transactions of a workload.
type Pausing uint8

const (
	NotPaused   Pausing = iota
	PauseQueue          // they wait
	PauseRefuse         // Acquire refuses them with WorkloadPaused
)

// WorkloadConfig is what an operator sets about one workload on one host.
type WorkloadConfig struct {
	Name  string
	Class Class
	Mode  Mode
	// Share is the workload's part of the host's slots, relative to the sum of all shares.
	Share int
	// Lendable is the fraction (0 to 1) of the nominal slots others may use while this workload does not.
	Lendable float64
	// Borrow is how much it may use beyond nominal, as a fraction of nominal; negative is without bound.
	Borrow float64
	// Limit is the most slots it ever holds; 0 is without limit.
	Limit int
	// QueueMax is the most waiters, over all pools; 0 is without limit.
	QueueMax int
	// QueueTimeout refuses a waiter at once when the queue ahead of it is expected to take longer; 0 never does.
	QueueTimeout time.Duration
	Pause        Pausing
}

// Workload is a named class of clients on one Host: its bounds and what it uses. All fields are guarded by Host.mu.
type Workload struct {
	host *Host
	cfg  WorkloadConfig
	gone bool // no longer configured; kept until its last slot and waiter are gone

	// Derived from the configuration and the host's usable slots; what admits reads.
	nominal int // ceil(usable × share / Σ shares)
	quota   int // slots it gets before anybody borrows: nominal where enforced
	ceiling int // slots it never exceeds
	hold    int // slots kept for it while idle: nominal less lendable

	inUse      int
	waiting    int
	coming     int
	reclaiming int // Reclaim directives under way for it, as owner
	yielding   int // Reclaim directives under way against it

	used  spent // while the host is contended, since the contention began
	epoch uint64
	at    int64
	turn  int64 // moving average of how long a slot is held, ns

	shed, wouldShed, wouldWait uint64
}

// Name returns the workload's name; it never changes.
func (w *Workload) Name() string { return w.cfg.Name }

// derive computes the bounds from the configuration for a host of usable slots.
func (w *Workload) derive(usable, shares int) {
	c := &w.cfg
	w.nominal, w.quota, w.hold, w.ceiling = 0, 0, 0, math.MaxInt
	w.used.share = uint64(max(c.Share, 1))
	if c.Share > 0 {
		w.nominal = (usable*c.Share + shares - 1) / shares
	}
	if c.Mode == Enforce {
		w.ceiling = w.bound()
		w.quota = min(w.nominal, w.ceiling)
		w.hold = max(0, w.quota-int(math.Round(float64(w.nominal)*clamp01(c.Lendable))))
	}
	if c.Pause != NotPaused {
		w.quota, w.hold, w.ceiling = 0, 0, 0
	}
}

// bound is the most slots the configuration allows: the limit, and nominal plus what may be borrowed.
func (w *Workload) bound() int {
	top := math.MaxInt
	if w.cfg.Limit > 0 {
		top = w.cfg.Limit
	}
	if w.cfg.Borrow >= 0 {
		top = min(top, w.nominal+int(math.Round(float64(w.nominal)*min(w.cfg.Borrow, 1e6))))
	}
	return top
}

func clamp01(f float64) float64 {
	if !(f > 0) {
		return 0
	}
	return min(f, 1)
}

// tier ranks the workload's next waiter: guarantees before lent slots, then by class.
func (w *Workload) tier() int {
	if w.operators() {
		return 0
	}
	if w.inUse < w.quota {
		return 1 + w.cfg.Class.order()
	}
	if w.cfg.Mode != Enforce {
		return 4 + Normal.order()
	}
	return 4 + w.cfg.Class.order()
}

func (w *Workload) operators() bool { return w == w.host.operators }

func (w *Workload) guaranteed() bool { return w.inUse < w.quota }

// owing is how many of its hold slots stand empty.
func (w *Workload) owing() int { return max(0, w.hold-w.inUse) }

// touch brings the slot-time used up to now.
func (w *Workload) touch(now int64) {
	h := w.host
	if w.epoch != h.epoch {
		w.epoch, w.used.time = h.epoch, 0
		w.at = max(w.at, h.epochAt)
	}
	if w.inUse > 0 && h.waiting > 0 && now > w.at {
		w.used.time += uint64(now-w.at) * uint64(w.inUse)
		if w.used.time > 1<<62 { // months of contention: all start again
			h.startEpoch()
		}
	}
	w.at = now
}

// take and give account for one slot.
func (w *Workload) take(now int64) {
	w.touch(now)
	if w.operators() {
		w.inUse++
		return
	}
	h := w.host
	if w.inUse < w.hold {
		h.held--
	}
	w.inUse++
	if w.cfg.Mode == Warn && w.inUse > w.bound() {
		w.wouldWait++
	}
}

func (w *Workload) give(now, since int64) {
	w.touch(now)
	w.turn += (now - since - w.turn) / 16 // integers: a float would decay into denormals, which are slow
	w.inUse--
	if w.operators() {
		return
	}
	h := w.host
	if w.inUse < w.hold {
		h.held++
	}
}

// admits says whether w may hold one slot more, a server being there.
func (h *Host) admits(w *Workload) bool {
	n := w.inUse
	return n < w.quota || n < w.ceiling && h.shared.active+h.held < h.shared.size || w.operators()
}

// room is how many slots more w may hold.
func (h *Host) room(w *Workload) int {
	if w.operators() {
		return math.MaxInt
	}
	guaranteed := max(0, w.quota-w.inUse)
	lent := min(w.ceiling-max(w.quota, w.inUse), h.shared.size-h.shared.active-h.held-guaranteed+w.owing())
	return guaranteed + max(0, lent)
}
