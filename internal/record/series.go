package record

import (
	"context"
	"slices"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
)

// Bounds of the series.
const (
	pointEvery  = 10 * time.Second
	mostPast    = 180 // points kept in memory: 30 min
	mostLoads   = 16  // workloads of a point; the others are summed up
	before      = 15 * time.Minute
	chunk       = 12            // points of one event: they stay below an event's size
	fine        = 2 * time.Hour // of an incident that is kept by 10 s; then by a minute
	measureFor  = time.Hour     // after its restoring an incident is measured on
	readTimeout = 900 * time.Millisecond
)

// others is the workload that stands for those beyond mostLoads.
const others = "others"

// series turns readings into points.
type series struct {
	bounds []float64
	last   map[string]LoadReading // the reading before, by workload
	now    incident.Point         // under way
	sums   map[string]*sum
	past   []incident.Point // finished, oldest first
	// pending are points that the live incidents have not got yet.
	pending []incident.Point
	begun   map[string]bool // incidents that have got what came before them
}

// sum is a workload's counts over a point under way.
type sum struct {
	load   incident.Load
	counts []uint64 // of transactions, by bucket
}

func newSeries(bounds []float64) series {
	return series{bounds: bounds, sums: map[string]*sum{}, begun: map[string]bool{}}
}

// measure takes a reading and gives the live incidents their points.
func (r *Record) measure(ctx context.Context) {
	if r.config.Readings == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	reading, err := r.config.Readings.Read(ctx)
	r.mu.Lock()
	if err != nil {
		// What is not known is not repeated: the next reading's counts hold more.
		r.mu.Unlock()
		return
	}
	s := &r.series
	if s.now.At.IsZero() {
		s.now.At = reading.At
	}
	s.take(reading, r.rules.Slow)
	finished := reading.At.Sub(s.now.At) >= pointEvery
	if finished {
		s.finish(reading.At)
	}
	r.book.SetRatio(s.lately())
	drafts := r.share(finished)
	r.mu.Unlock()
	for _, d := range drafts {
		_, _ = r.submit(func(*incident.Book) ([]event.Event, error) { return []event.Event{d}, nil })
	}
}

// take adds a reading to the point under way.
func (s *series) take(now Reading, slow time.Duration) {
	first := s.last == nil
	last := make(map[string]LoadReading, len(now.Loads))
	for _, l := range now.Loads {
		last[l.Workload] = l
		was := s.last[l.Workload]
		if first {
			was = l // counts since the process's start are not of this second
		}
		s.add(l, was, slow)
	}
	s.last = last
	for _, u := range now.Upstreams {
		s.use(u)
	}
	s.now.Principals = max(s.now.Principals, now.Principals)
}

func (s *series) add(l, was LoadReading, slow time.Duration) {
	to := s.sums[l.Workload]
	if to == nil {
		name := l.Workload
		if len(s.sums) >= mostLoads {
			name = others
		}
		if to = s.sums[name]; to == nil {
			to = &sum{load: incident.Load{Workload: name}, counts: make([]uint64, len(s.bounds)+1)}
			s.sums[name] = to
		}
	}
	to.load.Failed += less(l.Failed, was.Failed)
	for n := range l.Waits {
		count := less(l.Waits[n], at(was.Waits, n))
		if s.above(n, slow) {
			to.load.Slow += count
		} else {
			to.load.Good += count
		}
	}
	for n := range min(len(l.Transactions), len(to.counts)) {
		to.counts[n] += less(l.Transactions[n], at(was.Transactions, n))
	}
	to.load.InUse, to.load.Waiting = max(to.load.InUse, l.InUse), max(to.load.Waiting, l.Waiting)
	to.load.Wait = max(to.load.Wait, l.OldestWait.Seconds())
}

// above reports whether all of a bucket is above a duration: what lies in the
// bucket of the threshold counts as good.
func (s *series) above(bucket int, d time.Duration) bool {
	if bucket == 0 {
		return false
	}
	return bucket-1 < len(s.bounds) && s.bounds[bucket-1] >= d.Seconds()
}

// SlowBound is the bound of buckets that a threshold comes to: what is slow is
// above it.
func SlowBound(bounds []float64, slow time.Duration) time.Duration {
	for _, b := range bounds {
		if b >= slow.Seconds() {
			return time.Duration(b * float64(time.Second)).Round(time.Millisecond)
		}
	}
	return slow
}

// less is how much a counter has grown; one that fell began anew.
func less(now, was uint64) uint64 {
	if now < was {
		return now
	}
	return now - was
}

func at(counts []uint64, n int) uint64 {
	if n < len(counts) {
		return counts[n]
	}
	return 0
}

func (s *series) use(u incident.Usage) {
	for n := range s.now.Upstreams {
		if have := &s.now.Upstreams[n]; have.Upstream == u.Upstream {
			have.Used, have.Usable, have.Waiting = max(have.Used, u.Used), u.Usable, max(have.Waiting, u.Waiting)
			return
		}
	}
	s.now.Upstreams = append(s.now.Upstreams, u)
}

// finish ends the point under way.
func (s *series) finish(at time.Time) {
	p := s.now
	p.Seconds, p.At = at.Sub(p.At).Seconds(), at
	p.Loads = s.loads()
	s.past = append(s.past, p)
	if len(s.past) > mostPast {
		s.past = slices.Delete(s.past, 0, len(s.past)-mostPast)
	}
	s.pending = append(s.pending, p)
	s.now, s.sums = incident.Point{At: at}, map[string]*sum{}
}

// loads are the point's workloads in which something went on.
func (s *series) loads() []incident.Load {
	loads := []incident.Load{}
	for _, one := range s.sums {
		l := one.load
		l.P95 = quantile(s.bounds, one.counts, 0.95)
		if l.Good+l.Slow+l.Failed > 0 || l.InUse+l.Waiting > 0 {
			loads = append(loads, l)
		}
	}
	slices.SortFunc(loads, func(a, b incident.Load) int {
		if a.Workload < b.Workload {
			return -1
		}
		return 1
	})
	return loads
}

// quantile is the upper bound of the bucket in which a part of the counts ends; 0
// of none. What is above all bounds answers the last one.
func quantile(bounds []float64, counts []uint64, part float64) float64 {
	total := uint64(0)
	for _, c := range counts {
		total += c
	}
	if total == 0 {
		return 0
	}
	below := uint64(0)
	for n, c := range counts {
		if below += c; float64(below) >= part*float64(total) {
			return bounds[min(n, len(bounds)-1)]
		}
	}
	return bounds[len(bounds)-1]
}

// lately is the part that went wrong in about the last minute.
func (s *series) lately() float64 {
	var bad, valid uint64
	for n := max(len(s.past)-5, 0); n < len(s.past); n++ {
		b, v := s.past[n].Bad()
		bad, valid = bad+b, valid+v
	}
	for _, one := range s.sums {
		bad += one.load.Slow + one.load.Failed
		valid += one.load.Good + one.load.Slow + one.load.Failed
	}
	if valid == 0 {
		return 0
	}
	return float64(bad) / float64(valid)
}

// share drafts the events that give live incidents their points: what came
// before once, then a minute's at a time. mu is held.
func (r *Record) share(finished bool) []event.Event {
	if !finished {
		return nil
	}
	s := &r.series
	var drafts []event.Event
	live := map[string]bool{}
	flush := len(s.pending) >= 6
	for _, i := range r.book.Live() {
		if over := i.At(incident.AllRestored); i.Status != incident.Open && time.Since(over) > measureFor {
			continue
		}
		live[i.ID] = true
		points := s.pending
		if !s.begun[i.ID] && len(i.Points) == 0 {
			points = s.since(i.OpenedAt.Add(-before), flush)
		} else if !flush {
			continue
		}
		s.begun[i.ID] = true
		if time.Since(i.OpenedAt) > fine && len(points) > 1 {
			points = []incident.Point{merge(points)}
		}
		for part := range slices.Chunk(points, chunk) {
			drafts = append(drafts, r.drafted(incident.Measured, i.ID, incident.MeasuredBody{Points: part}))
		}
	}
	s.begun = live
	if flush || len(live) == 0 {
		s.pending = nil
	}
	return drafts
}

// addFresh gives an incident that is not over the points that it will get with
// the next event.
func (r *Record) addFresh(i *incident.Incident) {
	if i.Status == incident.IsResolved {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	from := i.OpenedAt.Add(-before)
	if n := len(i.Points); n > 0 {
		from = i.Points[n-1].At
	}
	if over := i.At(incident.AllRestored); i.Status != incident.Open && time.Since(over) > measureFor {
		return
	}
	for _, p := range r.series.past {
		if p.At.After(from) {
			i.Points = append(i.Points, p)
		}
	}
}

// giveRest gives an incident that is about to be over what it has not got yet.
func (r *Record) giveRest(ref string) {
	r.mu.Lock()
	id, err := r.book.Find(ref)
	if err != nil {
		r.mu.Unlock()
		return
	}
	copied := *r.book.Get(id)
	r.mu.Unlock()
	have := len(copied.Points)
	copied.Points = slices.Clone(copied.Points)
	r.addFresh(&copied)
	for part := range slices.Chunk(copied.Points[have:], chunk) {
		draft := r.drafted(incident.Measured, id, incident.MeasuredBody{Points: part})
		_, _ = r.submit(func(*incident.Book) ([]event.Event, error) { return []event.Event{draft}, nil })
	}
}

// since are the finished points from a time on, without those that are pending
// and come later.
func (s *series) since(from time.Time, all bool) []incident.Point {
	var points []incident.Point
	for _, p := range s.past {
		if !p.At.Before(from) {
			points = append(points, p)
		}
	}
	if all {
		return points
	}
	return points[:max(len(points)-len(s.pending), 0)]
}

func (r *Record) drafted(kind, id string, body any) event.Event {
	return event.Event{At: time.Now(), Kind: kind, Incident: id, Node: r.config.Node, Body: event.Body(body)}
}

// merge makes one point of several in a row.
func merge(points []incident.Point) incident.Point {
	m := incident.Point{At: points[len(points)-1].At}
	loads := map[string]int{}
	for _, p := range points {
		m.Seconds += p.Seconds
		m.Principals = max(m.Principals, p.Principals)
		for _, l := range p.Loads {
			n, have := loads[l.Workload]
			if !have {
				loads[l.Workload] = len(m.Loads)
				m.Loads = append(m.Loads, l)
				continue
			}
			to := &m.Loads[n]
			to.Good, to.Slow, to.Failed = to.Good+l.Good, to.Slow+l.Slow, to.Failed+l.Failed
			to.P95, to.Wait = max(to.P95, l.P95), max(to.Wait, l.Wait)
			to.InUse, to.Waiting = max(to.InUse, l.InUse), max(to.Waiting, l.Waiting)
		}
		for _, u := range p.Upstreams {
			n := slices.IndexFunc(m.Upstreams, func(have incident.Usage) bool { return have.Upstream == u.Upstream })
			if n < 0 {
				m.Upstreams = append(m.Upstreams, u)
				continue
			}
			to := &m.Upstreams[n]
			to.Used, to.Waiting = max(to.Used, u.Used), max(to.Waiting, u.Waiting)
		}
	}
	return m
}
