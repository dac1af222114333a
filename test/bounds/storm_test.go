package bounds

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

// impatient are the workloads with clients that come again rather than wait.
var impatient = strings.ReplaceAll(workloads, "queue_timeout: 60s", "queue_timeout: 5s")

// TestReconnectStorm: after a restart all clients come back at once; the
// server sees its logins paced, and all are served. While it is away it is
// hardly knocked at.
func TestReconnectStorm(t *testing.T) {
	s := server(t)
	p := serve(t, s, impatient, map[string]any{"timeouts.queue": "30s"})
	clients := 1000
	if long() {
		clients = 5000
	}
	if err := s.Stop(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	knocks := knocking(t, s, p)
	t.Logf("%d login attempts in 5 s of outage, once it was noticed", knocks)
	if knocks > 5 {
		t.Errorf("%d login attempts in 5 s of outage, want 1/s", knocks)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	failed := map[string]int{}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	places := make(chan struct{}, 1000)
	for range clients {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if err := insist(p); err != nil {
				mu.Lock()
				failed[code(err)]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%d clients served %v after the restart; not served: %v", clients, time.Since(began).Round(time.Millisecond), failed)
	if len(failed) > 0 {
		t.Errorf("not served: %v", failed)
	}
	paced(t, s.Log.String())
}

// knocking counts connections to the server's port for 5 s while clients want
// it, from a second after the first: by then the outage is known.
func knocking(t *testing.T, s *pgtest.Server, p *pgtest.Pooler) int {
	t.Helper()
	door, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, p, "api", "web", 50, 10*time.Millisecond, ask)
	n := 0
	known := time.Now().Add(time.Second)
	_ = door.(*net.TCPListener).SetDeadline(known.Add(5 * time.Second))
	for {
		conn, err := door.Accept()
		if err != nil {
			break
		}
		if login(conn) && time.Now().After(known) {
			n++
		}
		_ = conn.Close()
	}
	stop.stop()
	_ = door.Close()
	stop.done.Wait()
	return n
}

// login tells an attempt to log in from a cancel request.
func login(conn net.Conn) bool {
	var head [8]byte
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, err := io.ReadFull(conn, head[:])
	return err != nil || binary.BigEndian.Uint32(head[4:]) != 80877102
}

// insist connects and asks until it is served, as clients with a retry do.
func insist(p *pgtest.Pooler) error {
	deadline := time.Now().Add(limit)
	for {
		ctx, end := context.WithTimeout(context.Background(), limit)
		conn, err := connect(ctx, p, "api", "web")
		if err == nil {
			err = ask(ctx, conn)
			_ = conn.Close(ctx)
		}
		end()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond) // the client's own back-off
	}
}

// stamped finds a line of PostgreSQL's log with its time.
func stamped(log, words string) (at []time.Time) {
	for _, m := range regexp.MustCompile(`(?m)^(\d+-\d+-\d+ \d+:\d+:\d+\.\d+) \S+ \[\d+\] .*LOG:  `+words).FindAllStringSubmatch(log, -1) {
		if when, err := time.Parse("2006-01-02 15:04:05.000", m[1]); err == nil {
			at = append(at, when)
		}
	}
	return at
}

// paced checks the logins behind the last start: at no moment more than 30, and
// 20 for each second since the server was ready. A machine that makes logins
// wait cannot make them too many.
func paced(t *testing.T, log string) {
	t.Helper()
	starts := stamped(log, "database system is ready to accept connections")
	if len(starts) == 0 {
		t.Fatal("PostgreSQL's log tells of no start")
	}
	ready, first, n := starts[len(starts)-1], 0, 0
	var began time.Time
	for _, at := range stamped(log, "connection authorized") {
		if at.Before(ready) {
			continue
		}
		if n++; n == 1 {
			began = at
		}
		if at.Sub(began) <= time.Second {
			first++
		}
		if most := 30 + 20*at.Sub(ready).Seconds(); float64(n) > most {
			t.Errorf("%d server logins %v after the start, want at most %.0f", n, at.Sub(ready), most)
			break
		}
	}
	t.Logf("%d server logins in the first second", first)
	if n == 0 {
		t.Error("PostgreSQL's log tells of no login")
	}
}
