package web

import (
	"errors"
	"strings"
	"testing"
	"time"

	"spillway/internal/proxy"
)

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		name        string
		change      func(*fakeProxy)
		live, ready int
		says        string
	}{
		{"serving", func(*fakeProxy) {}, 200, 200, "[+]pools 2 serving, 0 paused, 0 disabled"},
		{"a database outage fails nothing", func(f *fakeProxy) { f.breaker = "open" }, 200, 200, "cannot reach main (clients wait)"},
		{"a failed reload fails nothing", func(f *fakeProxy) { f.reloadFail = errFake }, 200, 200, "[+]config the last reload failed"},
		{"paused on purpose", func(f *fakeProxy) { f.databases[0].Paused, f.databases[1].Disabled = true, true }, 200, 200, "0 serving, 1 paused, 1 disabled"},
		{"nobody came yet", func(f *fakeProxy) { f.databases = nil }, 200, 200, "none yet"},
		{"all disabled", func(f *fakeProxy) { f.databases[0].Disabled, f.databases[1].Disabled = true, true }, 200, 503, "[-]pools 0 serving"},
		{"draining", func(f *fakeProxy) { f.state, f.closed = "draining", true }, 200, 503, "[-]drain draining"},
		{"listener closed", func(f *fakeProxy) { f.closed = true }, 200, 503, "[-]listener does not accept clients"},
		{"no config", func(f *fakeProxy) { f.reloadAt = time.Time{} }, 200, 503, "[-]config not loaded yet"},
		{"loops stuck", func(f *fakeProxy) { f.dead, f.fail = true, errFake }, 503, 503, "[-]loops do not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			c.change(f)
			h := handler(t, f.config())
			for path, want := range map[string]int{"/livez": c.live, "/-/healthy": c.live, "/readyz": c.ready, "/-/ready": c.ready} {
				if status, body, _ := do(t, h, request("GET", path, "")); status != want {
					t.Errorf("%s: status %d: %s", path, status, body)
				}
			}
			if _, body, _ := do(t, h, request("GET", "/readyz?verbose", "")); !strings.Contains(body, c.says) {
				t.Errorf("verbose: %s", body)
			}
		})
	}
}

// TestReadyIsShort: without verbose a ready node says one word.
func TestReadyIsShort(t *testing.T) {
	if _, body, _ := do(t, handler(t, newFake().config()), request("GET", "/readyz", "")); body != "ready\n" {
		t.Errorf("got %q", body)
	}
}

// TestReloadErrorStaysPrivate: a config's error quotes its lines.
func TestReloadErrorStaysPrivate(t *testing.T) {
	f := newFake()
	f.reloadFail = errors.New(`3 | url: "postgres://u:hunter2@db"`)
	h := handler(t, f.config())
	for _, path := range []string{"/", "/metrics", "/readyz?verbose", "/api/v1/state"} {
		if _, body, _ := do(t, h, request("GET", path, "")); strings.Contains(body, "hunter2") {
			t.Errorf("%s shows the config's error", path)
		}
	}
}

func TestUpstreamUp(t *testing.T) {
	for breaker, want := range map[string]bool{"": true, "closed": true, "open": false, "half-open": false} {
		if upstreamUp(proxy.UpstreamStat{Breaker: breaker}) != want {
			t.Errorf("breaker %q", breaker)
		}
	}
}
