package brake

import (
	"math"
	"time"
)

// relearn is after how long of holding the sweep the foreground's load is what
// it is from now on.
const relearn = 10 * time.Minute

// learning is how long the load is only looked at: what its first second
// happens to be is not what is usual.
const learning = 5 * time.Second

// load compares the transactions a second with what they were.
type load struct {
	recent []commits
	usual  float64   // per second
	busy   float64   // sessions at work, as a rule
	since  time.Time // zero until the first is known
	held   time.Time
}

type commits struct {
	at time.Time
	n  float64
}

// foreground is the count of the others' transactions: the proxy's own where
// there is one, otherwise the server's statistics, which are up to a second old.
func foreground(f Facts) float64 {
	if f.Sight != nil {
		return float64(total(f.Sight.Counts))
	}
	return float64(f.Commits - f.OwnCommits)
}

func (l *load) judge(f, last Facts, limits Limits, add adder) {
	if limits.LoadRise == 0 || (f.Sight == nil) != (last.Sight == nil) {
		*l = load{}
		return
	}
	l.recent = append(l.recent, commits{f.At, foreground(f)})
	for len(l.recent) > 2 && f.At.Sub(l.recent[1].at) >= time.Second {
		l.recent = l.recent[1:]
	}
	span := f.At.Sub(l.recent[0].at)
	if span < 900*time.Millisecond {
		return
	}
	now := max(l.recent[len(l.recent)-1].n-l.recent[0].n, 0) / span.Seconds()
	// 50/s: below that a person with psql would be a rise.
	level := over(now, l.usual*(1+limits.LoadRise)+50, l.usual*(1+2*limits.LoadRise)*2+100)
	// More sessions at work show at once, also without a proxy.
	crowd := over(float64(f.Busy), l.busy*2+4, 0)
	switch {
	case l.since.IsZero():
		l.usual, l.busy, l.since = now, float64(f.Busy), f.At
		return
	case f.At.Sub(l.since) < learning:
		l.usual, l.busy = max(l.usual, now), max(l.busy, float64(f.Busy))
		return
	case level == Clear && crowd == Clear:
		l.held = time.Time{}
		// A minute's memory; the share of one look of it.
		part := 1 - math.Exp(-f.At.Sub(last.At).Seconds()/60)
		l.usual += (now - l.usual) * part
		l.busy += (float64(f.Busy) - l.busy) * part
		return
	case l.held.IsZero():
		l.held = f.At
	case f.At.Sub(l.held) > relearn:
		l.usual, l.busy, l.held = now, float64(f.Busy), time.Time{}
	}
	if level == Clear {
		add("load", crowd, "%d sessions are busy, %.0f before; slower from %.0f", f.Busy, l.busy, l.busy*2+4)
		return
	}
	add("load", level, "%.0f transactions/s, %.0f before; slower from +%.0f %%", now, l.usual, 100*limits.LoadRise)
}

// latency compares the p99 while the sweep works with the p99 while it rests.
// The sweep rests on purpose now and then, so both are of the same minutes and
// no drift of the traffic is mistaken for the sweep's doing.
type latency struct {
	bounds             []float64
	rest, lately       []float64 // at rest, decayed counts
	fast, steady       []float64 // at work, decayed counts
	late               [spread]bool
	looked             int     // at work, so far
	restLate, restAsks float64 // looks at rest that were late, and all; decayed
}

const (
	// Decay per look, at four a second. Rests are remembered for some 30 looks of
	// rest and, where they are worse, for the last second of it; fast is the last
	// second or so of work, steady the last four.
	restDecay, latelyDecay, fastDecay, steadyDecay = 0.97, 0.7, 0.7, 0.94
	// p99 of fewer transactions than this is one outlier.
	leastSeen = 100
	// spread is over how many looks, two seconds of work, slow transactions must
	// be spread: one stall of a disk makes many of them at once.
	spread = 8
)

func (l *latency) judge(f, last Facts, limits Limits, add adder) {
	if f.Sight == nil || limits.P99Rise == 0 {
		return
	}
	n := len(f.Sight.Counts)
	if len(l.rest) != n {
		*l = latency{bounds: f.Sight.Bounds, rest: make([]float64, n), lately: make([]float64, n), fast: make([]float64, n), steady: make([]float64, n)}
	}
	if last.Sight == nil || len(last.Sight.Counts) != n {
		return
	}
	seen := make([]float64, n)
	for i := range n {
		seen[i] = float64(f.Sight.Counts[i] - min(last.Sight.Counts[i], f.Sight.Counts[i]))
	}
	rest, known := l.base()
	if f.Resting {
		l.rested(seen, rest, limits, known)
		return
	}
	decay(l.fast, fastDecay, seen)
	decay(l.steady, steadyDecay, seen)
	if !known {
		return
	}
	l.late[l.looked%spread] = late(l.bounds, seen, (1+limits.P99Rise)*rest)
	l.looked++
	if now, ok := quantile(l.bounds, l.fast, 0.99); ok && now > 2*(1+limits.P99Rise)*rest+0.002 && l.often(spread/2) {
		add("p99", Hard, "%s, %s while the sweep rests", millis(now), millis(rest))
		return
	}
	if slow, n := above(l.bounds, l.steady, (1+limits.P99Rise)*rest); n >= leastSeen && slow > chance(n/100) && l.often(spread) {
		now, _ := quantile(l.bounds, l.steady, 0.99)
		add("p99", Soft, "%s, %s while the sweep rests; slower from +%.0f %%", millis(now), millis(rest), 100*limits.P99Rise)
	}
}

// base is the p99 at rest: that of the last minutes, or that of the last second
// of rest if it is worse, for then it is not the sweep that makes it so.
func (l *latency) base() (float64, bool) {
	rest, ok := quantile(l.bounds, l.rest, 0.99)
	if now, known := quantile(l.bounds, l.lately, 0.99); known {
		rest = max(rest, now)
	}
	return rest, ok
}

// rested takes a look at rest.
func (l *latency) rested(seen []float64, rest float64, limits Limits, known bool) {
	decay(l.rest, restDecay, seen)
	decay(l.lately, latelyDecay, seen)
	if !known {
		return
	}
	l.restLate, l.restAsks = l.restLate*restDecay, l.restAsks*restDecay+1
	if late(l.bounds, seen, (1+limits.P99Rise)*rest) {
		l.restLate++
	}
}

// late says whether a look has more slow transactions than are due to it.
func late(bounds, seen []float64, bound float64) bool {
	slow, all := above(bounds, seen, bound)
	return slow > 1.5*all/100+0.5
}

// often says whether more of the last looks at work were late than chance makes
// of what is usual at rest.
func (l *latency) often(looks int) bool {
	looks = min(looks, l.looked)
	found := 0
	for i := l.looked - looks; i < l.looked; i++ {
		if l.late[i%spread] {
			found++
		}
	}
	part := (l.restLate + 0.1) / (l.restAsks + 1)
	due := float64(looks) * part
	return float64(found) > due+2*math.Sqrt(due*(1-min(part, 1)))+0.5
}

func decay(counts []float64, by float64, seen []float64) {
	for i := range counts {
		counts[i] = counts[i]*by + seen[i]
	}
}

// chance is how many of an event are seen at most, 97 times of 100, where so
// many are due: a p99 of few transactions jumps about by itself.
func chance(due float64) float64 { return due + 2*math.Sqrt(due) + 1 }

// above counts what took longer than bound, straight lines within buckets, and
// all there is.
func above(bounds, counts []float64, bound float64) (slow, all float64) {
	low := 0.0
	for i, c := range counts {
		all += c
		high := math.Inf(1)
		if i < len(bounds) {
			high = bounds[i]
		}
		switch {
		case low >= bound:
			slow += c
		case high > bound && !math.IsInf(high, 1):
			slow += c * (high - bound) / (high - low)
		}
		low = high
	}
	return slow, all
}

func millis(s float64) string { return short(time.Duration(s * float64(time.Second))) }

func total(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// quantile reads q from counts, straight lines within buckets; false when too
// few were counted.
func quantile(bounds, counts []float64, q float64) (float64, bool) {
	var all float64
	for _, c := range counts {
		all += c
	}
	if all < leastSeen {
		return 0, false
	}
	want, low := q*all, 0.0
	for i, c := range counts {
		if i >= len(bounds) {
			break
		}
		if want <= c && c > 0 {
			return low + (bounds[i]-low)*want/c, true
		}
		want -= c
		low = bounds[i]
	}
	return low, true
}
