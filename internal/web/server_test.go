package web

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// started is a server on a free port and a socket in a folder of its own.
func started(t *testing.T, f *fakeProxy) *Server {
	t.Helper()
	c := f.config()
	c.Listen, c.Socket = "127.0.0.1:0", filepath.Join(socketFolder(t), "spillway.sock")
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

// socketFolder is short enough for a socket's path.
func socketFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "web")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// client speaks HTTP over a network and keeps nothing open.
func client(network, address string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
}

func ask(t *testing.T, c *http.Client, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestSockets: the kernel's word for who is at the unix socket lets us act
// there, and TCP only look.
func TestSockets(t *testing.T) {
	f := newFake()
	s := started(t, f)
	unix, tcp := client("unix", s.config.Socket), client("tcp", s.Addr().String())
	address := "http://" + s.Addr().String()

	found, err := os.Lstat(s.config.Socket)
	if err != nil || found.Mode().Perm() != 0o600 || found.Mode().Type() != fs.ModeSocket {
		t.Errorf("the socket has mode %v: %v", found.Mode(), err)
	}
	if status, body := ask(t, unix, "POST", "http://spillway/api/v1/pause"); status != 200 || body != `{"done":"pause"}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	f.wasAsked(t, "pause()")
	if status, body := ask(t, tcp, "POST", address+"/api/v1/pause"); status != 401 {
		t.Errorf("%d %s", status, body)
	}
	f.wasAsked(t)
	for _, path := range []string{"/", "/livez", "/readyz", "/metrics", "/api/v1/pools"} {
		if status, _ := ask(t, tcp, "GET", address+path); status != 200 {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

// TestLifecycle is the contract of Start and Stop.
func TestLifecycle(t *testing.T) {
	s := started(t, newFake())
	if err := s.Start(); err == nil {
		t.Error("started twice")
	}
	address := s.Addr().String()
	stop(t, s)
	stop(t, s)
	if s.Addr() != nil {
		t.Error("there is an address after Stop")
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the address is open after Stop")
	}
	if _, err := os.Lstat(s.config.Socket); !os.IsNotExist(err) {
		t.Errorf("the socket is there after Stop: %v", err)
	}
	if err := s.Start(); err == nil {
		t.Error("started after Stop")
	}
	never, err := New(newFake().config())
	if err != nil {
		t.Fatal(err)
	}
	stop(t, never)
	if err := never.Start(); err == nil {
		t.Error("started after Stop without Start")
	}
}

// TestStartFails leaves nothing open.
func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := socketFolder(t)
	notSocket := filepath.Join(dir, "file")
	if err := os.WriteFile(notSocket, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ listen, socket string }{
		{taken.Addr().String(), filepath.Join(dir, "s")},
		{"127.0.0.1:0", notSocket},
		{"127.0.0.1:0", filepath.Join(dir, "none", "s")},
		{"nonsense", ""},
		{"127.0.0.1:0", filepath.Join(dir, strings.Repeat("long", 50))},
	} {
		config := newFake().config()
		config.Listen, config.Socket = c.listen, c.socket
		s, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(); err == nil {
			t.Errorf("%v: started", c)
			stop(t, s)
		}
		if s.Addr() != nil {
			t.Errorf("%v: an address is left", c)
		}
	}
	if left, err := os.ReadFile(notSocket); err != nil || string(left) != "precious" {
		t.Errorf("the file in the way was touched: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// TestTakeOver: a second process takes the port and the socket over while the
// first still runs, and keeps them when the first ends.
func TestTakeOver(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only Linux has SO_REUSEPORT as we use it")
		return
	}
	dir := socketFolder(t)
	config := newFake().config()
	config.Listen, config.Socket, config.ReusePort = "127.0.0.1:0", filepath.Join(dir, "s"), true
	first, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	config.Listen = first.Addr().String()
	f := newFake()
	config.Facts, config.Verbs = f, f
	second, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	defer stop(t, second)
	stop(t, first)
	if status, _ := ask(t, client("unix", config.Socket), "POST", "http://spillway/api/v1/resume"); status != 200 {
		t.Errorf("status %d", status)
	}
	f.wasAsked(t, "resume()")
	if status, _ := ask(t, client("tcp", config.Listen), "GET", "http://"+config.Listen+"/livez"); status != 200 {
		t.Errorf("status %d", status)
	}
}

// TestStaleSocket: what a killed process left behind is replaced.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(socketFolder(t), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	config := newFake().config()
	config.Socket = path
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer stop(t, s)
	if status, _ := ask(t, client("unix", path), "GET", "http://spillway/livez"); status != 200 {
		t.Errorf("status %d", status)
	}
}

// TestStopEndsWaitingVerbs: a PAUSE that waits does not outlive the server.
func TestStopEndsWaitingVerbs(t *testing.T) {
	f := newFake()
	f.block = true
	s := started(t, f)
	done := make(chan error, 1)
	go func() {
		r, _ := http.NewRequestWithContext(context.Background(), "POST", "http://spillway/api/v1/pause", nil)
		response, err := client("unix", s.config.Socket).Do(r)
		if err == nil {
			response.Body.Close()
		}
		done <- err
	}()
	for { // until the verb waits
		f.mu.Lock()
		waits := len(f.asked) == 1
		f.mu.Unlock()
		if waits {
			break
		}
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Stop(ctx); err == nil {
		t.Error("Stop says that nothing was cut off")
	}
	if err := <-done; err == nil {
		t.Error("the verb was answered")
	}
}

// TestConnLimit: connections above the limit wait for one to end.
func TestConnLimit(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limitConns(inner, 1, 1)
	accepted := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- conn
		}
	}()
	var dialled []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		dialled = append(dialled, conn)
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Error("a second connection was let in")
	default:
	}
	first.Close()
	first.Close() // gives its place back once
	second := <-accepted
	l.Close()
	l.Close()
	if err := <-ended; err == nil {
		t.Error("Accept goes on after Close")
	}
	second.Close()
	_ = dialled
}
