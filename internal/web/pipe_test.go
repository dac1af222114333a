package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are in memory: with them the server's
// times can be tried under synctest.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// dialled is the client's end of a new connection.
func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// inMemory serves the config over pipes until the bubble's test ends.
func inMemory(t *testing.T, c Config) *pipes {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- s.http.Serve(p) }()
	t.Cleanup(func() {
		if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		<-ended
		time.Sleep(time.Second) // net/http closes a refused connection in two steps
	})
	return p
}

const asToken = "\r\nHost: localhost\r\nAuthorization: Bearer letmein\r\n"

// exchange writes a request and returns the status and how long it took.
func exchange(t *testing.T, conn net.Conn, request string) (int, time.Duration) {
	t.Helper()
	began := time.Now()
	go func() { _, _ = io.WriteString(conn, request) }()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, time.Since(began)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	return response.StatusCode, time.Since(began)
}

// TestLongAnswers: a route that may take minutes is not cut off by the time that
// its body had.
func TestLongAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := f.config()
		c.Token = "letmein"
		c.Routes = []Route{{Method: "POST", Path: "slow", Role: Operator, Wait: 5 * time.Minute, Answer: func(ctx context.Context, _ *Ask) (any, error) {
			select {
			case <-time.After(4 * time.Minute):
				return "done", nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}}
		conn := inMemory(t, c).dial()
		defer conn.Close()
		status, took := exchange(t, conn, "POST /api/v1/slow HTTP/1.1"+asToken+"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
		if status != 200 || took != 4*time.Minute {
			t.Errorf("status %d after %v", status, took)
		}
	})
}

// TestSlowClients: who is slow to ask, to send or to read is let go of.
func TestSlowClients(t *testing.T) {
	f := newFake()
	c := f.config()
	c.Token = "letmein"
	answered := 0
	c.Routes = []Route{
		{Method: "POST", Path: "thing", Role: Operator, Answer: func(context.Context, *Ask) (any, error) { answered++; return "x", nil }},
		{Method: "GET", Path: "much", Answer: func(context.Context, *Ask) (any, error) { return strings.Repeat("x", 1<<20), nil }},
	}
	for name, test := range map[string]struct {
		request string
		status  int
		most    time.Duration
	}{
		"says nothing":       {"", 0, headerTimeout},
		"half a header":      {"GET /livez HTTP/1.1\r\nHost: loc", 0, headerTimeout},
		"half a body":        {"POST /api/v1/thing HTTP/1.1" + asToken + "Content-Length: 100\r\n\r\n{", 408, readTimeout},
		"half a verb":        {"POST /api/v1/pause HTTP/1.1" + asToken + "Content-Length: 100\r\n\r\n{", 408, readTimeout},
		"a chunk for ever":   {"POST /api/v1/thing HTTP/1.1" + asToken + "Transfer-Encoding: chunked\r\n\r\n2\r\n{ \r\n", 408, readTimeout},
		"a stranger's body":  {"POST /api/v1/thing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", 401, time.Second},
		"more than it may":   {"POST /api/v1/thing HTTP/1.1" + asToken + "Content-Length: 10000000\r\n\r\n{", 413, time.Second},
		"endless by promise": {"POST /api/v1/pause HTTP/1.1" + asToken + "Content-Length: 9223372036854775807\r\n\r\n{", 413, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := inMemory(t, c).dial()
				defer conn.Close()
				status, took := exchange(t, conn, test.request)
				if status != test.status || took > test.most {
					t.Errorf("status %d after %v", status, took)
				}
			})
		})
	}
	if answered != 0 {
		t.Errorf("%d of them were answered", answered)
	}
	t.Run("does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := inMemory(t, c).dial()
			defer conn.Close()
			if _, err := io.WriteString(conn, "GET /api/v1/much HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(defaultWait + writeTimeout + time.Second)
			got, err := io.Copy(io.Discard, conn)
			if err != nil || got > 64<<10 {
				t.Errorf("%d bytes were kept for it, %v", got, err)
			}
		})
	})
}
