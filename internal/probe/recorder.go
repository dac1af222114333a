package probe

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// The flight recorder's memory: every second of half an hour, every ten seconds
// of a day. A series takes 42 kB, all of them 17 MB at the most.
const (
	fineStep, fineSlots     = time.Second, 30 * 60
	coarseStep, coarseSlots = 10 * time.Second, 24 * 360
	maxSeries               = 400
)

// Recorder keeps numbers by name, so that an incident begins with what came
// before it. Safe from any goroutine.
type Recorder struct {
	mu     sync.Mutex // guards what follows
	series map[string]*series
	fine   axis
	coarse axis
	lost   int
}

// axis is the times of the slots of all series: slot n holds the step that is n
// modulo the number of slots.
type axis struct {
	step time.Duration
	at   []int64 // step number of each slot; 0: never filled
	last int64
}

type series struct {
	fine, coarse []float32
	sum          float64 // of the coarse step that is being filled
	count        int
	step         int64
	seen         int64 // fine step
}

// NewRecorder makes an empty one.
func NewRecorder() *Recorder {
	return &Recorder{series: map[string]*series{},
		fine:   axis{step: fineStep, at: make([]int64, fineSlots)},
		coarse: axis{step: coarseStep, at: make([]int64, coarseSlots)}}
}

func (a *axis) number(at time.Time) int64 { return at.UnixNano() / int64(a.step) }

func (a *axis) slot(step int64) int { return int(step % int64(len(a.at))) }

// Add keeps the numbers of a moment. What is absent, or not a number, was not
// known then. Moments must not go back.
func (r *Recorder) Add(at time.Time, values map[string]float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fine, coarse := r.fine.number(at), r.coarse.number(at)
	if fine < r.fine.last {
		return
	}
	if fine != r.fine.last {
		r.enter(&r.fine, fine, func(s *series) []float32 { return s.fine })
	}
	if coarse != r.coarse.last {
		r.enter(&r.coarse, coarse, func(s *series) []float32 { return s.coarse })
	}
	for name, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if s := r.of(name, fine); s != nil {
			s.fine[r.fine.slot(fine)] = float32(v)
			s.seen = fine
			if s.step != coarse {
				s.step, s.sum, s.count = coarse, 0, 0
			}
			s.sum, s.count = s.sum+v, s.count+1
			s.coarse[r.coarse.slot(coarse)] = float32(s.sum / float64(s.count))
		}
	}
}

// enter begins a step: its slot is empty in every series, and so are those that
// were passed over.
func (r *Recorder) enter(a *axis, step int64, of func(*series) []float32) {
	from := max(a.last+1, step-int64(len(a.at))+1)
	for n := from; n <= step; n++ {
		slot := a.slot(n)
		a.at[slot] = 0
		for _, s := range r.series {
			of(s)[slot] = none
		}
	}
	a.at[a.slot(step)] = step
	a.last = step
}

// none marks a slot without a value.
var none = float32(math.NaN())

func (r *Recorder) of(name string, fine int64) *series {
	if s := r.series[name]; s != nil {
		return s
	}
	if len(r.series) >= maxSeries && !r.forget(fine) {
		r.lost++
		return nil
	}
	s := &series{fine: make([]float32, fineSlots), coarse: make([]float32, coarseSlots)}
	for i := range s.fine {
		s.fine[i] = none
	}
	for i := range s.coarse {
		s.coarse[i] = none
	}
	r.series[name] = s
	return s
}

// forget drops series that were not seen for a day.
func (r *Recorder) forget(fine int64) bool {
	before := len(r.series)
	for name, s := range r.series {
		if fine-s.seen > int64(24*time.Hour/fineStep) {
			delete(r.series, name)
		}
	}
	return len(r.series) < before
}

// Series is the course of one number; Values are NaN where it was not known.
type Series struct {
	Name   string
	Step   time.Duration
	Times  []time.Time // ascending; begin of each step
	Values []float64
}

// Names are those of all series, sorted.
func (r *Recorder) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.series))
	for name := range r.series {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Between are the series whose name begins with one of the prefixes (all, for
// none), from one moment to another: by the second where that goes back far
// enough, otherwise by ten seconds.
func (r *Recorder) Between(from, to time.Time, prefixes ...string) []Series {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, fine := &r.coarse, false
	if first := (r.fine.last - fineSlots + 1) * int64(fineStep); from.UnixNano() >= first {
		a, fine = &r.fine, true
	}
	begin, end := max(a.number(from), a.last-int64(len(a.at))+1), min(a.number(to), a.last)
	var list []Series
	for name, s := range r.series {
		if len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		values := s.coarse
		if fine {
			values = s.fine
		}
		one := Series{Name: name, Step: a.step}
		for n := begin; n <= end; n++ {
			one.Times = append(one.Times, time.Unix(0, n*int64(a.step)))
			v := math.NaN()
			if slot := a.slot(n); a.at[slot] == n {
				v = float64(values[slot])
			}
			one.Values = append(one.Values, v)
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Series) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Lost is how often a number was not kept because there were too many series.
func (r *Recorder) Lost() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}
