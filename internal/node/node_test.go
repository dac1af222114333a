package node

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"spillway/internal/proxy"
)

func TestStartOrderAndReverseTeardown(t *testing.T) {
	var order []string
	record := func(name string) service {
		return service{name: name,
			start: func() error { order = append(order, "start "+name); return nil },
			stop:  func(context.Context) error { order = append(order, "stop "+name); return nil }}
	}
	n, pooler, _ := testNode(t, func(p *parts) { p.services = []service{record("web"), record("pidfile")} })
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(); err != nil {
		t.Errorf("running node is not ready: %v", err)
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"start web", "start pidfile", "stop pidfile", "stop web"}
	if !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if got := pooler.asked(); !slices.Equal(got, []string{"start", "close"}) {
		t.Errorf("pooler was asked %v", got)
	}
	if n.Ready() == nil {
		t.Error("stopped node is ready")
	}
}

func TestFailedStartLeavesNothing(t *testing.T) {
	boom := errors.New("address in use")
	n, pooler, _ := testNode(t, func(p *parts) {
		p.services = []service{{name: "web", start: func() error { return boom }}}
	})
	if err := n.Start(); !errors.Is(err, boom) {
		t.Fatalf("start answered %v", err)
	}
	if got := pooler.asked(); !slices.Equal(got, []string{"start", "close"}) {
		t.Errorf("pooler was asked %v", got)
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Errorf("stop after a failed start: %v", err)
	}

	n, pooler, _ = testNode(t, nil)
	pooler.failStart = boom
	if err := n.Start(); !errors.Is(err, boom) {
		t.Fatalf("start answered %v", err)
	}
	if got := pooler.asked(); !slices.Equal(got, []string{"start", "close"}) {
		t.Errorf("pooler that failed to start was asked %v; its listeners stay open unless closed", got)
	}
}

// TestStartStopStress calls everything from everywhere at once: whatever the
// order, nothing is started twice, closed twice or left running.
func TestStartStopStress(t *testing.T) {
	for range 300 {
		n, pooler, _ := testNode(t, nil)
		close(pooler.drained)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { _ = n.Start() })
			all.Go(func() { _, _ = n.Reload() })
			all.Go(func() { _ = n.Ready() })
			all.Go(func() { _ = n.Drain(t.Context()) })
			all.Go(func() {
				if err := n.Stop(context.Background()); err != nil {
					t.Errorf("stop: %v", err)
				}
			})
		}
		all.Wait()
		if err := n.Stop(t.Context()); err != nil {
			t.Errorf("last stop: %v", err)
		}
		closes := 0
		for _, call := range pooler.asked() {
			if call == "close" {
				closes++
			}
		}
		if closes != 1 {
			t.Fatalf("pooler closed %d times: %v", closes, pooler.asked())
		}
	}
}

func TestReloadGood(t *testing.T) {
	next := &Setup{Policy: new(proxy.Policy), Log: LogConfig{Level: "debug"}, Restart: []string{"listen"}}
	level := ""
	n, pooler, system := testNode(t, func(p *parts) {
		p.load = func(*Setup) (*Setup, error) { return next, nil }
		p.applyLog = func(c LogConfig) error { level = c.Level; return nil }
	})
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	restart, err := n.Reload()
	if err != nil || !slices.Equal(restart, []string{"listen holds after a restart"}) {
		t.Fatalf("reload answered %v, %v", restart, err)
	}
	if pooler.policy != next.Policy || level != "debug" {
		t.Errorf("policy or level not applied (level %q)", level)
	}
	want := []string{"RELOADING=1\nMONOTONIC_USEC=42", "READY=1\nSTATUS=config reloaded"}
	if got := system.told(); !slices.Equal(got, want) {
		t.Errorf("systemd was told %q, want %q", got, want)
	}
	if at, err := n.LastReload(); err != nil || at.IsZero() {
		t.Errorf("last reload: %v, %v", at, err)
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Reload(); !errors.Is(err, errNotRunning) {
		t.Errorf("reload after stop answered %v", err)
	}
}

func TestReloadBadChangesNothing(t *testing.T) {
	bad := errors.New("spillway.yaml:3:7: unknown key \"pol_mode\"\n  3 | pol_mode: x\n      ^")
	tests := map[string]func(*parts, *fakePooler){
		"file":   func(p *parts, _ *fakePooler) { p.load = func(*Setup) (*Setup, error) { return nil, bad } },
		"policy": func(_ *parts, f *fakePooler) { f.failApply = bad },
		"level":  func(p *parts, _ *fakePooler) { p.applyLog = func(LogConfig) error { return bad } },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			n, pooler, system := testNode(t, nil)
			if err := n.Start(); err != nil {
				t.Fatal(err)
			}
			before := n.setupNow()
			spoil(&n.parts, pooler)
			if _, err := n.Reload(); !errors.Is(err, bad) {
				t.Fatalf("reload answered %v", err)
			}
			if pooler.policy != nil || n.setupNow() != before {
				t.Error("a bad reload changed something")
			}
			if _, err := n.LastReload(); !errors.Is(err, bad) {
				t.Errorf("last reload says %v", err)
			}
			last := system.told()[len(system.told())-1]
			if !strings.HasPrefix(last, "READY=1\nSTATUS=config NOT reloaded: ") || strings.Count(last, "\n") != 1 {
				t.Errorf("systemd was told %q", last)
			}
			if err := n.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// runNode starts Run in the background; the returned function waits for its end.
func runNode(t *testing.T, n *Node) (chan<- os.Signal, func() error) {
	t.Helper()
	signals, ended := make(chan os.Signal, 8), make(chan error, 1)
	go func() { ended <- n.Run(signals) }()
	return signals, func() error { return <-ended }
}

func TestSignals(t *testing.T) {
	tests := map[string]struct {
		signals []os.Signal
		waits   []string // pooler calls to wait for after each signal
		drained bool     // the last client leaves
		want    []string
	}{
		"TERM drains":             {[]os.Signal{unix.SIGTERM}, []string{"drain"}, true, []string{"start", "drain", "close"}},
		"INT drains":              {[]os.Signal{unix.SIGINT}, []string{"drain"}, true, []string{"start", "drain", "close"}},
		"second INT ends at once": {[]os.Signal{unix.SIGINT, unix.SIGINT}, []string{"drain", ""}, false, []string{"start", "drain", "close"}},
		"QUIT ends at once":       {[]os.Signal{unix.SIGQUIT}, []string{""}, false, []string{"start", "close"}},
		"QUIT ends a drain":       {[]os.Signal{unix.SIGTERM, unix.SIGQUIT}, []string{"drain", ""}, false, []string{"start", "drain", "close"}},
		"HUP, TERM":               {[]os.Signal{unix.SIGHUP, unix.SIGTERM}, []string{"apply", "drain"}, true, []string{"start", "apply", "drain", "close"}},
		"USR1, USR2, QUIT": {[]os.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGQUIT}, []string{"pause", "resume", ""}, false,
			[]string{"start", "pause", "resume", "close"}},
		"TERM, TERM, QUIT": {[]os.Signal{unix.SIGTERM, unix.SIGTERM, unix.SIGQUIT}, []string{"drain", "", ""}, false, []string{"start", "drain", "close"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n, pooler, _ := testNode(t, nil)
			signals, ended := runNode(t, n)
			for i, sig := range test.signals {
				signals <- sig
				if test.waits[i] != "" {
					pooler.await(test.waits[i])
				}
			}
			if test.drained {
				close(pooler.drained)
			}
			if err := ended(); err != nil {
				t.Fatalf("run ended with %v", err)
			}
			if got := pooler.asked(); !slices.Equal(got, test.want) {
				t.Errorf("pooler was asked %v, want %v", got, test.want)
			}
		})
	}
}

// TestDrainOrder: readiness fails before the pooler turns anyone away, the drain
// delay lies between, the deadline ends it, and systemd is asked for more time.
func TestDrainOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, pooler, system := testNode(t, func(p *parts) {
			p.drainDelay, p.setup.Shutdown = 5*time.Second, 2*time.Minute
		})
		signals, ended := runNode(t, n)
		synctest.Wait()
		began := time.Now()
		signals <- unix.SIGTERM
		synctest.Wait()
		if err := n.Ready(); err == nil || err.Error() != "draining" {
			t.Errorf("while draining, ready says %v", err)
		}
		if slices.Contains(pooler.asked(), "drain") {
			t.Error("clients are turned away before the drain delay")
		}
		pooler.await("start")
		pooler.await("drain")
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the pooler drains after %v", took)
		}
		if err := ended(); err != nil {
			t.Errorf("run ended with %v", err)
		}
		if took := time.Since(began); took != 2*time.Minute {
			t.Errorf("the drain ended after %v", took)
		}
		told := strings.Join(system.told(), "\n")
		for _, want := range []string{"READY=1", "STOPPING=1\nSTATUS=draining", "EXTEND_TIMEOUT_USEC=", "STATUS=draining: main 20/97 servers, 3 waiting"} {
			if !strings.Contains(told, want) {
				t.Errorf("systemd was not told %q:\n%s", want, told)
			}
		}
	})
}

func TestWatchdogAtHalfPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, system := testNode(t, func(p *parts) { p.system.watchdog = 4 * time.Second })
		signals, ended := runNode(t, n)
		time.Sleep(9 * time.Second)
		signals <- unix.SIGQUIT
		if err := ended(); err != nil {
			t.Fatal(err)
		}
		beats := 0
		for _, line := range system.told() {
			if line == "WATCHDOG=1" {
				beats++
			}
		}
		if beats != 5 { // at 0, 2, 4, 6 and 8 s
			t.Errorf("%d beats in 9 s with a watchdog of 4 s", beats)
		}
	})
}
