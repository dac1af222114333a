package record

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"spillway/internal/record/incident"
)

// counts are a proxy's readings, made up.
type counts struct {
	mu  sync.Mutex
	now Reading
	err error
}

func (c *counts) Read(context.Context) (Reading, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.At = time.Now()
	return c.now, c.err
}

// bounds of the made-up buckets: 0.1, 1 and 10 s, and above.
func bounds() []float64 { return []float64{0.1, 1, 10} }

func reading(at time.Time, failed uint64, waits ...uint64) Reading {
	return Reading{At: at, Loads: []LoadReading{{Workload: "api", Failed: failed, Waits: waits, Transactions: waits, InUse: int(waits[0] % 7)}},
		Upstreams: []incident.Usage{{Upstream: "main", Used: 3, Usable: 10}}, Principals: 2}
}

func TestPoints(t *testing.T) {
	s := newSeries(bounds())
	at := time.Unix(1000, 0)
	s.now.At = at
	s.take(reading(at, 1000, 1000, 1000, 1000, 1000), time.Second) // before this process looked
	s.take(reading(at.Add(time.Second), 1001, 1090, 1005, 1004, 1000), time.Second)
	s.take(reading(at.Add(2*time.Second), 0, 10, 0, 0, 0), time.Second) // counts began anew
	s.finish(at.Add(10 * time.Second))
	p := s.past[0]
	if len(p.Loads) != 1 || p.Seconds != 10 {
		t.Fatalf("point is %+v", p)
	}
	l := p.Loads[0]
	// What lies in the bucket of the threshold is good, what is above is slow.
	if l.Failed != 1 || l.Good != 90+5+10 || l.Slow != 4 || l.P95 != 1 {
		t.Errorf("load is %+v", l)
	}
	if bad, valid := p.Bad(); bad != 5 || valid != 110 {
		t.Errorf("%d bad of %d", bad, valid)
	}
	if r := s.lately(); r != 5.0/110 {
		t.Errorf("lately %v went wrong", r)
	}
	if SlowBound(bounds(), 500*time.Millisecond) != time.Second {
		t.Errorf("the threshold is %v", SlowBound(bounds(), 500*time.Millisecond))
	}
}

func TestManyWorkloadsAreSummedUp(t *testing.T) {
	s := newSeries(bounds())
	at := time.Unix(1000, 0)
	s.now.At = at
	var many Reading
	for n := range 100 {
		many.Loads = append(many.Loads, LoadReading{Workload: string(rune('A'+n/10)) + string(rune('0'+n%10)), Waits: []uint64{uint64(n + 1)}, InUse: 1})
	}
	s.take(Reading{}, time.Second)
	s.take(many, time.Second)
	s.finish(at.Add(10 * time.Second))
	p := s.past[0]
	if _, valid := p.Bad(); valid != 5050 || len(p.Loads) > mostLoads+1 {
		t.Errorf("%d workloads with %d transactions", len(p.Loads), valid)
	}
}

func TestMergedPoints(t *testing.T) {
	at := time.Unix(1000, 0)
	var points []incident.Point
	for n := range 6 {
		points = append(points, incident.Point{At: at.Add(time.Duration(n) * pointEvery), Seconds: 10, Principals: n,
			Loads: []incident.Load{{Workload: "api", Good: 1, Slow: 2, P95: float64(n)}}, Upstreams: []incident.Usage{{Upstream: "main", Used: n, Usable: 9}}})
	}
	m := merge(points)
	if m.Seconds != 60 || m.Loads[0].Good != 6 || m.Loads[0].Slow != 12 || m.Loads[0].P95 != 5 || m.Upstreams[0].Used != 5 || m.Principals != 5 || !m.At.Equal(points[5].At) {
		t.Errorf("merged point is %+v", m)
	}
}

// TestIncidentGetsItsPoints: what came before, what happens, also before the next
// minute is over; a proxy that does not answer leaves a gap and no more.
func TestIncidentGetsItsPoints(t *testing.T) {
	source := &counts{}
	c := configOf(t.TempDir())
	c.Readings, c.Bounds = source, bounds()
	r := New(c)
	at := time.Now().Add(-5 * time.Minute)
	for n := range uint64(40) { // minutes as seconds: the clock is the readings'
		source.now = reading(at.Add(time.Duration(n)*pointEvery), n, n*100, 0, 0, 0)
		r.mu.Lock()
		if r.series.now.At.IsZero() {
			r.series.now.At = source.now.At
		}
		r.series.take(source.now, time.Second)
		r.series.finish(source.now.At.Add(pointEvery))
		r.mu.Unlock()
	}
	r.Told(leak(incident.Page))
	r.mu.Lock()
	drafts := r.share(true)
	r.mu.Unlock()
	if len(drafts) == 0 {
		t.Fatal("it does not get what came before")
	}
	i, err := r.Show(t.Context(), "last")
	if err != nil {
		t.Fatal(err)
	}
	r.addFresh(i)
	if len(i.Points) < 30 {
		t.Errorf("it shows %d points", len(i.Points))
	}
	if _, _, err := r.Resolve(t.Context(), "last", "over before its first minute was", "alice"); err != nil {
		t.Fatal(err)
	}
	if over, err := r.Show(t.Context(), "last"); err != nil || len(over.Points) != len(i.Points) {
		t.Errorf("resolved it has %d points, before %d: %v", len(over.Points), len(i.Points), err)
	}
	source.err = errors.New("loops do not answer")
	r.measure(t.Context())
	if n := len(r.series.past); n != 40 {
		t.Errorf("without readings there are %d points", n)
	}
}
