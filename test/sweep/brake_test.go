package sweep

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// seen is what the node says of a sweep now.
type seen struct {
	Deleted int64
	Brake   string
	Duty    float64
	Rate    float64 `json:"rows_per_second"`
}

// watcher asks the node over its socket, as often as a test needs.
func (r *rig) watcher() func() seen {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", r.socket)
	}}}
	r.Cleanup(client.CloseIdleConnections)
	return func() seen {
		r.Helper()
		resp, err := client.Get("http://node/api/v1/sweeps")
		if err != nil {
			r.Fatal(err)
		}
		defer resp.Body.Close()
		var list struct{ Items []seen }
		if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list.Items) == 0 {
			r.Fatalf("no sweeps (status %s): %v", resp.Status, err)
		}
		return list.Items[0]
	}
}

// wait waits until it is true of the sweep and logs how long that took.
func (r *rig) wait(now func() seen, what string, is func(seen) bool) seen {
	r.Helper()
	begun := time.Now()
	var last seen
	for time.Since(begun) < 3*time.Minute {
		if last = now(); is(last) {
			r.Logf("%s after %s", what, time.Since(begun).Round(time.Millisecond))
			return last
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.Fatalf("%s: not within 3 min: %+v", what, last)
	return last
}

// goes waits until no brake of that name holds and rows go again.
func (r *rig) goes(now func() seen, name string) {
	r.Helper()
	from := r.wait(now, "no brake "+name, func(s seen) bool { return !strings.Contains(s.Brake, name+":") }).Deleted
	r.wait(now, "rows go", func(s seen) bool { return s.Deleted > from })
}

// crowd are clients of the proxy, each with fifty transactions a second.
type crowd struct {
	cancel context.CancelFunc
	gone   sync.WaitGroup
}

func (r *rig) crowd(clients int) *crowd {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &crowd{cancel: cancel}
	for range clients {
		conn := pgtest.Connect(r.T, r.pooler.URL(pgtest.Login{}))
		w.gone.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				if _, err := conn.Exec(ctx, "SELECT count(*) FROM sessions WHERE id < 100"); err != nil && ctx.Err() == nil {
					r.Error(err)
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	r.Cleanup(w.leave)
	return w
}

func (w *crowd) leave() { w.cancel(); w.gone.Wait() }

// TestForegroundTripled: three times the load through the proxy slows the sweep,
// and when it ends the sweep goes on as before.
func TestForegroundTripled(t *testing.T) {
	r := newRig(t, nil)
	seed(t, r.server, 600_000)
	usual := r.crowd(4)
	now := r.watcher()
	r.must("run", "sessions", "--where", doomed, "--yes", "--detach", "--rate", "5000", "--no-vacuum")
	// Long enough for the brakes to know what is usual.
	before := r.wait(now, "rows go in company", func(s seen) bool { return s.Deleted > 40_000 && s.Brake == "" })
	more := r.crowd(12)
	r.wait(now, "brake load", func(s seen) bool { return strings.Contains(s.Brake, "load:") })
	r.wait(now, "half the duty", func(s seen) bool { return s.Duty < before.Duty/2 || s.Duty <= 0.01 })
	more.leave()
	r.goes(now, "load")
	usual.leave()
}

// TestQueueForServers: clients that wait for a server stop the sweep at once.
func TestQueueForServers(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"databases.*.pool_size": 2})
	seed(t, r.server, 600_000)
	now := r.watcher()
	r.must("run", "sessions", "--where", doomed, "--yes", "--detach", "--rate", "5000", "--no-vacuum")
	r.wait(now, "rows go", func(s seen) bool { return s.Deleted > 0 })
	holders := []*pgx.Conn{pgtest.Connect(t, r.pooler.URL(pgtest.Login{})), pgtest.Connect(t, r.pooler.URL(pgtest.Login{}))}
	for _, conn := range holders {
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
	}
	waiter := pgtest.Connect(t, r.pooler.URL(pgtest.Login{}))
	answered := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(context.Background(), "SELECT 1")
		answered <- err
	}()
	// From 20 ms on it stops; each look of a longer wait reads otherwise.
	again := func(before seen) seen {
		return r.wait(now, "brake queue wait", func(s seen) bool { return s.Brake != before.Brake && strings.Contains(s.Brake, "queue wait:") })
	}
	held := again(again(seen{}))
	if after := again(again(held)); after.Deleted > held.Deleted {
		t.Errorf("%d rows deleted while a client waited, %d before", after.Deleted, held.Deleted)
	}
	for _, conn := range holders {
		if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
			t.Error(err)
		}
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	r.goes(now, "queue wait")
}
