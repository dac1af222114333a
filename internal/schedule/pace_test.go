package schedule

import (
	"testing"
	"time"
)

// TestAGuaranteeIsNotPaced: a critical workload opens its guaranteed slots four
// at a time, and at the pace of all after an outage.
func TestAGuaranteeIsNotPaced(t *testing.T) {
	begin := func() (*world, *Pool) {
		w := newWorld(t, HostConfig{Usable: 100, Workloads: []WorkloadConfig{
			{Name: "api", Class: Critical, Mode: Enforce, Share: 50, Borrow: -1}, {Name: "default", Mode: Enforce, Share: 50}}})
		p := w.pool(PoolConfig{})
		return w, p
	}
	second := func(w *world, p *Pool) (opened int, most int) {
		before := w.stat().Opened
		for range 100 {
			w.clientOf(p, "api")
		}
		for start := w.now; w.now < start+int64(time.Second); w.tick(10 * time.Millisecond) {
			most = max(most, len(w.opens))
			for range len(w.opens) { // a login takes a tick
				w.opened(w.opens[0])
			}
		}
		return int(w.stat().Opened - before), most
	}
	w, p := begin()
	w.run(10 * time.Second)
	if n, most := second(w, p); n != 50 || most > 4 {
		t.Errorf("calm: %d logins in the first second, %d at once", n, most)
	}
	w, p = begin()
	w.run(10 * time.Second)
	var up []*Server
	for range 3 {
		c := w.clientOf(p, "api")
		up = append(up, w.opens[0])
		w.opened(w.opens[0])
		_ = c
	}
	for _, s := range up {
		w.gone(s)
	}
	if n, most := second(w, p); n > 30 || most > 4 {
		t.Errorf("after an outage: %d logins in the first second, %d at once", n, most)
	}
}

// lending is a host of which a batch workload may have 90 slots, its own and lent ones.
func lending(pace Pace) HostConfig {
	return HostConfig{Usable: 100, Connect: pace, Workloads: []WorkloadConfig{
		{Name: "api", Class: Critical, Mode: Enforce, Share: 50, Lendable: 0.8, Borrow: -1},
		{Name: "job", Class: Batch, Mode: Enforce, Share: 50, Lendable: 1, Borrow: -1}}}
}

// calmly lets a host without a past become calm and save up logins.
func calmly(t *testing.T) *sim {
	s := newSim(t, lending(Pace{}))
	s.until(30 * time.Second)
	if st := s.stat(); !st.Calm || st.Logins != 100 {
		t.Fatalf("after half a minute of nothing: calm %v, %d logins", st.Calm, st.Logins)
	}
	return s
}

// On a calm host what is idle is lent within a second, however it comes about; PerSecond is 20 all the while.
func TestCalmHostLendsAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		warm bool // the slots are filled by idle servers of another pool
	}{{"cold", false}, {"warm", true}} {
		t.Run(tt.name, func(t *testing.T) {
			s := calmly(t)
			if tt.warm {
				other := &load{pool: s.pool(PoolConfig{}), workload: "api", clients: 100, takes: time.Millisecond, thinks: time.Hour}
				s.start(other)
				s.until(30 * time.Second)
				s.start(&load{pool: other.pool, workload: "api", clients: 80, takes: 10 * time.Millisecond, thinks: time.Hour})
				s.until(10 * time.Second)
			}
			most := 0
			old := s.watch
			s.watch = func(d Directive) { old(d); most = max(most, s.h.shared.opening+s.h.shared.making) }
			s.login = 20 * time.Millisecond
			s.start(&load{pool: s.pool(PoolConfig{}), workload: "job", clients: 200, takes: 30 * time.Millisecond})
			s.until(time.Second)
			t.Logf("%d slots of 90, %d logins at once", s.workload("job").InUse, most)
			if n := s.workload("job").InUse; n < 50+36 || most > 4 { // its own and 90 % of 40
				t.Fatalf("job uses %d slots of 90 after a second, %d logins at once", n, most)
			}
		})
	}
}

// Servers that come and go are held to the rate on a calm host, too: what is saved up is spent once.
func TestCalmHostHoldsChurn(t *testing.T) {
	s := calmly(t)
	p := s.pool(PoolConfig{})
	q := s.pool(PoolConfig{})
	for range 60 { // two pools take the slots from each other
		s.start(&load{pool: p, workload: "job", clients: 90, takes: 100 * time.Millisecond, thinks: time.Hour})
		s.until(500 * time.Millisecond)
		s.start(&load{pool: q, workload: "job", clients: 90, takes: 100 * time.Millisecond, thinks: time.Hour})
		s.until(500 * time.Millisecond)
	}
	t.Logf("%d logins in a minute", s.stat().Opened)
	if n := s.stat().Opened; n > 100+60*20 {
		t.Fatalf("%d logins in a minute, want at most 100 and 20/s", n)
	}
}

// Whatever speaks of a restart, an outage or a fail-over brings the strict pace back, for everybody.
func TestUnrestIsPaced(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*sim, *Pool)
	}{
		{"our own start", nil},
		{"three servers lost", func(s *sim, p *Pool) { s.lose(p, 3) }},
		{"the last server lost", func(s *sim, p *Pool) { s.lose(p, 1) }},
		{"a login that found nobody", func(s *sim, p *Pool) { s.failOne(p, FailNetwork) }},
		{"a login while the server starts", func(s *sim, p *Pool) { s.failOne(p, FailStarting) }},
		{"an outage", func(s *sim, p *Pool) { s.failOne(p, FailNetwork); s.failOne(p, FailNetwork); s.failOne(p, FailNetwork) }},
		{"RECONNECT", func(s *sim, p *Pool) { s.obey(s.h.Reconnect(s.now, p, nil)) }},
		{"PAUSE and RESUME", func(s *sim, p *Pool) {
			s.obey(s.h.Pause(s.now, p, nil))
			s.until(time.Second)
			s.obey(s.h.Resume(s.now, p, nil))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSim(t, lending(Pace{}))
			if tt.do != nil {
				s = calmly(t)
			}
			p := s.pool(PoolConfig{})
			if tt.do != nil {
				tt.do(s, p)
			}
			before := s.stat().Opened
			s.start(&load{pool: p, workload: "api", clients: 500, takes: 5 * time.Millisecond, thinks: time.Hour})
			s.start(&load{pool: p, workload: "job", clients: 500, takes: 5 * time.Millisecond, thinks: time.Hour})
			s.until(time.Second)
			if n := s.stat().Opened - before; n > 30 {
				t.Fatalf("%d logins in the first second", n)
			}
		})
	}
}

// lose opens n servers and lets them die.
func (s *sim) lose(p *Pool, n int) {
	for range n {
		s.client(p)
	}
	s.until(100 * time.Millisecond)
	for len(s.order) > 0 {
		s.gone(s.order[0])
	}
}

// failOne lets one login of p fail.
func (s *sim) failOne(p *Pool, class FailClass) {
	carry := s.watch
	s.watch = nil
	for c := s.client(p); ; s.until(10 * time.Millisecond) {
		if len(s.opens) > 0 {
			s.leave(c)
			s.openFailed(s.opens[0], class)
			break
		}
	}
	s.watch = carry
}
