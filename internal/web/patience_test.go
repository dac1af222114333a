package web

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spillway/internal/proxy"
)

// stuckFacts answers nothing until it is released, whatever its context says.
type stuckFacts struct {
	*fakeProxy
	released chan struct{}
}

func (s *stuckFacts) Gauges(ctx context.Context) (proxy.Gauges, error) {
	<-s.released
	return s.fakeProxy.Gauges(ctx)
}

// TestStuckLoop: readiness and metrics answer while an event loop does not, and
// the readings left behind are bounded.
func TestStuckLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		stuck := &stuckFacts{f, make(chan struct{})}
		c := f.config()
		c.Facts = stuck
		h := handler(t, c)
		start := time.Now()
		status, body, _ := do(t, h, request("GET", "/readyz", ""))
		if status != 503 || !strings.Contains(body, "[-]loops do not answer") || time.Since(start) != factsTimeout {
			t.Errorf("%d %s after %v", status, body, time.Since(start))
		}
		status, body, _ = do(t, h, request("GET", "/metrics", ""))
		if status != 200 || !strings.Contains(body, "spillway_facts_up 0") || strings.Contains(body, "spillway_pools 2") {
			t.Errorf("%d %s", status, body)
		}
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() { do(t, h, request("GET", "/api/v1/state", "")) })
		}
		all.Wait()
		start = time.Now()
		if status, _, _ := do(t, h, request("GET", "/api/v1/state", "")); status != 503 || time.Since(start) != 0 {
			t.Errorf("status %d after %v: too many wait already", status, time.Since(start))
		}
		if status, _, _ := do(t, h, request("GET", "/livez", "")); status != 200 {
			t.Errorf("livez: status %d", status)
		}
		close(stuck.released)
		synctest.Wait()
		if status, _, _ := do(t, h, request("GET", "/readyz", "")); status != 200 {
			t.Errorf("status %d after the loop turned again", status)
		}
	})
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{fmt.Errorf("%w: app", proxy.ErrNoDatabase), 404}, {fmt.Errorf("%w: 11", proxy.ErrNoClient), 404},
		{fmt.Errorf("pause: %w", context.DeadlineExceeded), 504}, {context.Canceled, 503}, {errors.New("other"), 409},
	} {
		if p := problemOf(c.err); p.status != c.status {
			t.Errorf("%v: status %d", c.err, p.status)
		}
	}
}

// slowFacts takes some time for its clients, and counts how often it is asked.
type slowFacts struct {
	*fakeProxy
	mu      sync.Mutex
	takes   time.Duration
	asked   int
	busy    time.Duration
	paused  bool
	reading int // at a time
	most    int
}

func (s *slowFacts) Clients(ctx context.Context) ([]proxy.ConnStat, error) {
	s.mu.Lock()
	s.asked++
	s.reading++
	s.most = max(s.most, s.reading)
	paused := s.paused
	s.mu.Unlock()
	time.Sleep(s.takes)
	s.mu.Lock()
	s.busy += s.takes
	s.reading--
	s.mu.Unlock()
	if paused {
		return nil, nil
	}
	return s.fakeProxy.Clients(ctx)
}

// TestFloodOfReaders: a thousand readers a second cost the event loops no more
// than a fifth of their time, each is answered, and health answers meanwhile.
func TestFloodOfReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		slow := &slowFacts{fakeProxy: f, takes: 5 * time.Millisecond}
		c := f.config()
		c.Facts = slow
		h := handler(t, c)
		var all sync.WaitGroup
		for range 2000 {
			all.Go(func() {
				if status, _, _ := do(t, h, request("GET", "/api/v1/clients", "")); status != 200 {
					t.Errorf("status %d", status)
				}
			})
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		if status, _, _ := do(t, h, request("GET", "/readyz", "")); status != 200 || time.Since(began) > time.Second {
			t.Errorf("readyz: status %d after %v", status, time.Since(began))
		}
		all.Wait()
		slow.mu.Lock()
		defer slow.mu.Unlock()
		if slow.busy > 450*time.Millisecond || slow.most != 1 || slow.asked < 50 {
			t.Errorf("%d readings, %v of 2 s, %d at a time", slow.asked, slow.busy, slow.most)
		}
	})
}

// TestSharedReadingIsFresh: who asks while a reading is under way is not told
// what it finds, but what the next one does.
func TestSharedReadingIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		slow := &slowFacts{fakeProxy: f, takes: 50 * time.Millisecond}
		p := newPatience(slow)
		var all sync.WaitGroup
		all.Go(func() {
			if rows, err := p.Clients(t.Context()); err != nil || len(rows) == 0 {
				t.Errorf("before the change: %v, %v", rows, err)
			}
		})
		time.Sleep(10 * time.Millisecond) // the reading is under way
		slow.mu.Lock()
		slow.paused = true // the change
		slow.mu.Unlock()
		for range 5 {
			all.Go(func() {
				if rows, err := p.Clients(t.Context()); err != nil || len(rows) != 0 {
					t.Errorf("after the change: %v, %v", rows, err)
				}
			})
		}
		all.Wait()
		if slow.asked != 2 {
			t.Errorf("%d readings", slow.asked)
		}
	})
}

// TestFloodOfRoutes: what other rooms answer to strangers is paced like readings;
// operators and the local socket do not wait for them.
func TestFloodOfRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := f.config()
		var mu sync.Mutex
		var answers, at, most int
		c.Routes = []Route{{Method: "GET", Path: "holders", Answer: func(context.Context, *Ask) (any, error) {
			mu.Lock()
			answers++
			at++
			most = max(most, at)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			at--
			mu.Unlock()
			return "x", nil
		}}}
		h := handler(t, c)
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() {
				if status, _, _ := do(t, h, request("GET", "/api/v1/holders", "")); status != 200 && status != 503 {
					t.Errorf("status %d", status)
				}
			})
		}
		time.Sleep(time.Second)
		mu.Lock()
		if most != 1 || answers > 21 || answers < 15 {
			t.Errorf("%d answers in a second, %d at a time", answers, most)
		}
		mu.Unlock()
		began := time.Now()
		if status, _, _ := do(t, h, as(request("GET", "/api/v1/holders", ""), 0, true)); status != 200 || time.Since(began) != 10*time.Millisecond {
			t.Errorf("local: status %d after %v", status, time.Since(began))
		}
		r := request("GET", "/api/v1/holders", "")
		r.Header.Set("Authorization", "Bearer "+testToken)
		began = time.Now()
		if status, _, _ := do(t, h, r); status != 200 || time.Since(began) != 10*time.Millisecond {
			t.Errorf("with a token: status %d after %v", status, time.Since(began))
		}
		all.Wait()
	})
}
