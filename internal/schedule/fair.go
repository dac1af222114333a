package schedule

import (
	"math/bits"
	"time"
)

// spent is slot-time used, in nanoseconds, by a workload of some share. What fair sharing compares is time/share; it is
// kept as a fraction, so that the comparison is exact.
type spent struct{ time, share uint64 }

// less says whether a, after grace nanoseconds more, has still used less for its share than b.
func (a spent) less(b spent, grace int64) bool {
	return compare(spent{a.time + uint64(grace), a.share}, b) < 0
}

// compare orders a and b by time/share.
func compare(a, b spent) int {
	ah, al := bits.Mul64(a.time, b.share)
	bh, bl := bits.Mul64(b.time, a.share)
	switch {
	case ah < bh || ah == bh && al < bl:
		return -1
	case ah == bh && al == bl:
		return 0
	}
	return 1
}

// memory is for how long the slots a workload holds count against it when it starts to wait. What it used while nobody
// competed for the same slots is soon forgiven; without a bound an hour alone would be paid for by an hour of waiting.
const memory = 5 * time.Second

// rejoin sets what counts for a workload that starts to wait holding n slots: at least floor, since who was away has no
// claim on what others used meanwhile, and at most memory beyond it.
func (a *spent) rejoin(floor spent, n int) {
	hi, lo := bits.Mul64(floor.time, a.share)
	if hi >= floor.share {
		return
	}
	least, _ := bits.Div64(hi, lo, floor.share)
	a.time = min(max(a.time, least), least+uint64(n)*uint64(memory))
}

// startEpoch forgets what everybody used: nobody waits, so nobody is owed anything.
func (h *Host) startEpoch() {
	h.epoch++
	h.epochAt, h.floor = h.now, spent{0, 1}
}
