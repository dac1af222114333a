package brake

import (
	"slices"
	"time"
)

const (
	// gapWait is how long a batch waits for a gap at most. What makes a p99 are the
	// moments in which many transactions come together; they last longer than one
	// of them, and a batch has no business in them.
	gapWait = 50 * time.Millisecond
	// GapEvery is how often a gap is looked for.
	GapEvery = 100 * time.Microsecond
	// gapLooks is how many batches' first looks tell what is usual.
	gapLooks = 64
	// mostLate bounds what is made up for after long waits: some 20 rests.
	mostLate = 100 * time.Millisecond
)

// Gap finds the moments between the others' transactions: a batch that begins
// when clients hold no more servers than they do half of the time, none as a
// rule, is met only by what comes while it runs. Not safe for concurrent use.
type Gap struct {
	looks []int // servers held when a wait began, the last ones, in no order
	next  int   // the oldest of them, once there are gapLooks
	usual int   // their median, the lower one of two
	late  time.Duration
}

// Rest is what is left of a rest of d when what earlier waits took is taken off:
// the part of the time spent in batches stays what it is.
func (g *Gap) Rest(d time.Duration) time.Duration {
	off := min(max(d, 0), g.late)
	g.late -= off
	return d - off
}

// Open says whether a batch may begin now. held is how many servers clients hold,
// waited the time since it was first asked, 0 for the first time.
func (g *Gap) Open(held int, waited time.Duration) bool {
	if waited == 0 {
		g.look(held)
	}
	if held > g.usual && waited < gapWait {
		return false
	}
	g.late = min(g.late+waited, mostLate)
	return true
}

func (g *Gap) look(held int) {
	if len(g.looks) < gapLooks {
		g.looks = append(g.looks, held)
	} else {
		g.looks[g.next] = held
		g.next = (g.next + 1) % gapLooks
	}
	sorted := slices.Sorted(slices.Values(g.looks))
	g.usual = sorted[(len(sorted)-1)/2]
}
