package detect

import (
	"slices"
	"time"
)

// Trends keep five minutes in points of five seconds: enough for the slopes of
// one and of five minutes.
const (
	trendStep   = 5 * time.Second
	trendPoints = 60
	maxTrends   = 2000
)

// trend is the course of one number.
type trend struct {
	points []point // ascending; the last one is still being filled
	seen   time.Time
}

type point struct {
	at    time.Time // begin of its step
	sum   float64
	count int
	least float64
}

func (p point) value() float64 { return p.sum / float64(p.count) }

func (t *trend) add(at time.Time, v float64) {
	step := at.Truncate(trendStep)
	t.seen = at
	if n := len(t.points); n > 0 && !t.points[n-1].at.Before(step) {
		p := &t.points[n-1]
		p.sum, p.count, p.least = p.sum+v, p.count+1, min(p.least, v)
		return
	}
	if len(t.points) == trendPoints {
		copy(t.points, t.points[1:])
		t.points = t.points[:trendPoints-1]
	}
	t.points = append(t.points, point{step, v, 1, v})
}

// slope is the Theil–Sen slope per second over the last window: the median of
// the slopes of all pairs, which single outliers do not move. Not ok when the
// points cover less than three quarters of the window.
func (t *trend) slope(now time.Time, window time.Duration) (perSecond float64, ok bool) {
	from := now.Add(-window)
	begin := 0
	for begin < len(t.points) && t.points[begin].at.Before(from) {
		begin++
	}
	points := t.points[begin:]
	if len(points) < 4 || points[len(points)-1].at.Sub(points[0].at) < window*3/4 {
		return 0, false
	}
	slopes := make([]float64, 0, len(points)*(len(points)-1)/2)
	for i, a := range points {
		for _, b := range points[i+1:] {
			slopes = append(slopes, (b.value()-a.value())/b.at.Sub(a.at).Seconds())
		}
	}
	slices.Sort(slopes)
	return slopes[len(slopes)/2], true
}

// grows reports whether the number has risen by at least by over the window
// and at no step fallen.
func (t *trend) grows(now time.Time, window time.Duration, by float64) bool {
	from := now.Add(-window)
	var first, last *point
	for i := range t.points {
		p := &t.points[i]
		if p.at.Before(from) {
			continue
		}
		if last != nil && p.least < last.least {
			return false
		}
		if first == nil {
			first = p
		}
		last = p
	}
	return first != nil && last.least-first.least >= by && last.at.Sub(first.at) >= window/2
}

// trends are the numbers that are followed, by name.
type trends struct {
	all map[string]*trend
}

func (s *trends) add(name string, at time.Time, v float64) {
	t := s.all[name]
	if t == nil {
		if len(s.all) >= maxTrends {
			return
		}
		t = &trend{}
		s.all[name] = t
	}
	t.add(at, v)
}

// of returns the trend of a name; an empty one when there is none.
func (s *trends) of(name string) *trend {
	if t := s.all[name]; t != nil {
		return t
	}
	return &trend{}
}

// settle ends a frame: what follows a group that is gone is at zero now, and is
// forgotten when it has been for five minutes.
func (s *trends) settle(at time.Time, isGroup func(name string) bool) {
	for name, t := range s.all {
		if t.seen.Equal(at) {
			continue
		}
		last := t.points[len(t.points)-1]
		if at.Sub(t.seen) > trendStep*trendPoints || !isGroup(name) && at.Sub(t.seen) > time.Minute {
			delete(s.all, name)
			continue
		}
		if isGroup(name) && last.at.Before(at.Truncate(trendStep)) {
			seen := t.seen
			t.add(at, 0)
			t.seen = seen
		}
	}
}
