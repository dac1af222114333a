package web

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// from dials the server from another address of this machine.
func from(t *testing.T, ip, address string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: time.Minute}
	conn, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// healthy asks for health and wants it within a time.
func healthy(t *testing.T, address string, within time.Duration) error {
	t.Helper()
	conn := from(t, "127.0.0.1", address)
	_ = conn.SetDeadline(time.Now().Add(within))
	if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	text, err := io.ReadAll(conn)
	if err == nil && !strings.HasPrefix(string(text), "HTTP/1.1 200") {
		err = fmt.Errorf("answered %q", text)
	}
	return err
}

// healthyAmong lets a crowd come and wants health within a time that is short
// beside what the crowd is given. A machine that stands still may miss it once;
// who is kept out misses it beside every new crowd.
func healthyAmong(t *testing.T, what, address string, crowd func()) {
	t.Helper()
	var err error
	for range 5 {
		crowd()
		if err = healthy(t, address, headerTimeout-time.Second); err == nil {
			return
		}
	}
	t.Errorf("%s: %v", what, err)
}

// TestCrowds: connections that say nothing, that never end their headers, and
// that keep the server at work do not keep health checks out.
func TestCrowds(t *testing.T) {
	f := newFake()
	var working atomic.Int32
	release := make(chan struct{})
	c := f.config()
	c.Listen, c.Socket = "127.0.0.1:0", filepath.Join(socketFolder(t), "s")
	c.Routes = []Route{{Method: "POST", Path: "work", Public: true, Answer: func(ctx context.Context, _ *Ask) (any, error) {
		working.Add(1)
		defer working.Add(-1)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil, nil
	}}}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	address := s.Addr().String()

	healthyAmong(t, "among the silent", address, func() {
		for range 2 * maxConns {
			from(t, "127.0.0.1", address)
		}
	})
	healthyAmong(t, "among those that never end their headers", address, func() {
		for i := range 2 * maxConns {
			conn := from(t, fmt.Sprintf("127.0.0.%d", 2+i%8), address)
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: local")
		}
	})
	for range 2 * maxConns {
		conn := from(t, "127.0.0.9", address)
		_, _ = io.WriteString(conn, "POST /api/v1/work HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
	}
	for deadline := time.Now().Add(2 * time.Minute); working.Load() < maxConnsEach; {
		if time.Now().After(deadline) {
			t.Fatalf("%d are at work", working.Load())
		}
		time.Sleep(time.Millisecond)
	}
	if err := healthy(t, address, time.Minute); err != nil {
		t.Errorf("among those at work: %v", err)
	}
	if n := working.Load(); n != maxConnsEach {
		t.Errorf("%d of one address are at work", n)
	}
	close(release)
}

func TestNeighborhood(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7/32", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[::ffff:192.0.2.7]:1": "192.0.2.7/32", "[fe80::1%eth0]:1": "fe80::/64",
	} {
		a, err := net.ResolveTCPAddr("tcp", strings.Replace(text, "%eth0", "", 1))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "%") {
			a.Zone = "eth0"
		}
		if got := neighborhood(a).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if neighborhood(&net.UnixAddr{Name: "s"}).IsValid() {
		t.Error("a unix socket has an address")
	}
}

// TestOrigins: a page elsewhere brings nothing about, whatever it sends.
func TestOrigins(t *testing.T) {
	for name, test := range map[string]struct {
		method, path string
		header       http.Header
		status       int
	}{
		"no browser":               {"POST", "/api/v1/pause", http.Header{}, 200},
		"our own page":             {"POST", "/api/v1/pause", http.Header{"Origin": {"http://localhost"}, "Sec-Fetch-Site": {"same-origin"}}, 200},
		"a page elsewhere":         {"POST", "/api/v1/pause", http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, 403},
		"an old browser":           {"POST", "/api/v1/pause", http.Header{"Origin": {"https://evil.example"}}, 403},
		"another port":             {"POST", "/api/v1/pause", http.Header{"Origin": {"http://localhost:8080"}}, 403},
		"a page in a sandbox":      {"POST", "/api/v1/pause", http.Header{"Origin": {"null"}}, 403},
		"a neighbor":               {"POST", "/-/reload", http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
		"elsewhere, a public path": {"POST", "/api/v1/open", http.Header{"Origin": {"https://evil.example"}}, 403},
		"elsewhere, reading":       {"GET", "/api/v1/pools", http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, 200},
	} {
		f := newFake()
		c := f.config()
		opened := false
		c.Routes = []Route{{Method: "POST", Path: "open", Public: true, Answer: func(context.Context, *Ask) (any, error) { opened = true; return nil, nil }}}
		r := as(request(test.method, test.path, ""), 0, true)
		r.Host = "localhost"
		for k, v := range test.header {
			r.Header[k] = v
		}
		status, _, header := do(t, handler(t, c), r)
		if status != test.status || header.Get("Access-Control-Allow-Origin") != "" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, %v", name, status, header)
		}
		if status == 403 {
			f.wasAsked(t)
		}
		if opened {
			t.Errorf("%s: it was answered", name)
		}
	}
}

// TestPaths: what is not spelled as a route is none, and gives no one else's.
func TestPaths(t *testing.T) {
	f := newFake()
	c := f.config()
	seen := ""
	c.Routes = []Route{
		{Method: "POST", Path: "alarms/{source}", Public: true, Answer: func(_ context.Context, a *Ask) (any, error) { seen = a.Path("source"); return nil, nil }},
		{Method: "POST", Path: "things/{id}/end", Role: Admin, Answer: func(context.Context, *Ask) (any, error) { seen = "ended"; return nil, nil }},
	}
	h := handler(t, c)
	for path, want := range map[string]int{
		"/api/v1/alarms/am": 200, "/api/v1/alarms/..%2f..%2fthings%2f7%2fend": 200, "/api/v1/alarms/": 404, "/api/v1/alarms/a/b": 404,
		"/api/v1//alarms/am": 307, "/api/v1/alarms/../things/7/end": 307, "/api/v1/things/7/end": 401, "/api/v1/things/7%2Fend": 404,
		"/API/v1/alarms/am": 404, "/api/v1/alarms/am%00": 200, "/api/v1/pause": 401, "//evil.example/api/v1/pause": 307,
	} {
		seen = ""
		status, _, header := do(t, h, request("POST", path, ""))
		if status != want && !(want == 307 && status == 301) {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
		if seen == "ended" {
			t.Errorf("%s was carried out", path)
		}
		if l := header.Get("Location"); l != "" && (!strings.HasPrefix(l, "/") || strings.HasPrefix(l, "//")) {
			t.Errorf("%s leads to %s", path, l)
		}
	}
	f.wasAsked(t)
}

// TestRefusedWhileItWrites: a sender of 10 MB reads why it is refused; it is not
// just cut off.
func TestRefusedWhileItWrites(t *testing.T) {
	f := newFake()
	c := f.config()
	c.Listen, c.Socket = "127.0.0.1:0", filepath.Join(socketFolder(t), "s")
	c.Routes = []Route{
		{Method: "POST", Path: "thing", Role: Operator, Answer: func(context.Context, *Ask) (any, error) { return nil, nil }},
		{Method: "POST", Path: "alarm", Public: true, Admit: func(*Ask) error { return Refuse(401, "no", "") }},
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	body := strings.Repeat("x", 10<<20)
	for path, want := range map[string]int{"/api/v1/thing": 401, "/api/v1/alarm": 401, "/api/v1/pause": 401} {
		for _, known := range []bool{false, true} {
			for _, sized := range []bool{false, true} {
				var reader io.Reader = strings.NewReader(body)
				if !sized {
					reader = io.MultiReader(reader) // in chunks
				}
				r, err := http.NewRequest("POST", "http://"+s.Addr().String()+path, reader)
				if err != nil {
					t.Fatal(err)
				}
				expect := want
				if known {
					r.Header.Set("Authorization", "Bearer "+testToken)
					if path != "/api/v1/alarm" {
						expect = 413
					}
				}
				response, err := client("tcp", s.Addr().String()).Do(r)
				if err != nil {
					t.Errorf("%s, known %v, sized %v: %v", path, known, sized, err)
					continue
				}
				response.Body.Close()
				if response.StatusCode != expect {
					t.Errorf("%s, known %v, sized %v: status %d, want %d", path, known, sized, response.StatusCode, expect)
				}
			}
		}
	}
	f.wasAsked(t)
}
