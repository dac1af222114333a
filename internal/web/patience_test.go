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
		for range 2 * maxPending {
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
