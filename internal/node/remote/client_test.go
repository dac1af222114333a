package remote

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serveAPI answers on a unix socket until the test ends.
func serveAPI(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server, ended := &http.Server{Handler: handler}, make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return New(path)
}

func TestFacts(t *testing.T) {
	const answer = `{"at":"2026-11-21T01:02:03Z","items":[{"database":"app"}]}`
	c := serveAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/v1/pools" {
			t.Errorf("asked %s %s", r.Method, r.URL.Path)
		}
		_, _ = w.Write([]byte(answer))
	})
	facts, err := c.Facts(t.Context(), "pools")
	if err != nil || string(facts.Items) != `[{"database":"app"}]` || facts.At.IsZero() {
		t.Errorf("got %+v, %v", facts, err)
	}
}

func TestDo(t *testing.T) {
	c := serveAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/reload" || r.ContentLength != 0 {
			t.Errorf("asked %s %s with %d bytes", r.Method, r.URL.Path, r.ContentLength)
		}
		_, _ = w.Write([]byte(`{"done":"reload","notes":["listen holds after a restart"]}`))
	})
	notes, err := c.Do(t.Context(), "reload", nil)
	if err != nil || len(notes) != 1 || notes[0] != "listen holds after a restart" {
		t.Errorf("got %q, %v", notes, err)
	}
}

func TestAnswersThatAreErrors(t *testing.T) {
	tests := map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"the API's own": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":"only root may","hint":"Use sudo."}`))
		}, "read pools: only root may (Use sudo.)"},
		"not JSON":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, "read pools: the node answered with HTTP status 502"},
		"not facts": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[1]")) }, "not as expected"},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range maxAnswer>>20 + 1 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "longer than"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := serveAPI(t, test.handler).Facts(t.Context(), "pools")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := New(filepath.Join(dir, "none")).Do(t.Context(), "reload", nil); err == nil || !strings.Contains(err.Error(), "is it running") {
		t.Errorf("no socket: %v", err)
	}
	left := filepath.Join(dir, "left")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: left, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Fatal(err)
	}
	if _, err := New(left).Do(t.Context(), "reload", nil); err == nil || !strings.Contains(err.Error(), "any more") {
		t.Errorf("socket left behind: %v", err)
	}
	c := serveAPI(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, "reload", nil); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("no answer: %v", err)
	}
}
