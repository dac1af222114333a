package brake

import "time"

const (
	// gapWait is how long a batch waits for a gap at most, and no longer than the
	// rest before it. Transactions of a few milliseconds end within it.
	gapWait = 5 * time.Millisecond
	// GapEvery is how often a gap is looked for.
	GapEvery = 100 * time.Microsecond
)

// Gap finds the moments between the others' transactions: a batch that begins
// when clients hold no server, or no more than some of them always do, is met
// only by what comes while it runs. Not safe for concurrent use.
type Gap struct {
	usual int // held in a gap, as far as is known
	least int // fewest seen in this wait
	late  time.Duration
}

// Rest is what is left of a rest of d when what the last wait took is taken off:
// the part of the time spent in batches stays what it is.
func (g *Gap) Rest(d time.Duration) time.Duration {
	d, g.late = max(d-g.late, 0), 0
	return d
}

// Open says whether a batch may begin now. held is how many servers clients hold,
// waited the time since it was first asked after a rest of d.
func (g *Gap) Open(held int, waited, d time.Duration) bool {
	if waited == 0 || held < g.least {
		g.least = held
	}
	open := held <= g.usual
	if !open && waited < min(gapWait, d) {
		return false
	}
	// No gap all the time: the fewest that were seen count as one from now on.
	g.usual, g.late = g.least, waited
	return true
}
