package drill

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"spillway/internal/drill/outcome"
	"spillway/internal/drill/rig"
)

// keptAlike is how many programs of one name are heard.
const keptAlike = 3

// services collects what client programs said at their ends.
type services struct {
	mu  sync.Mutex
	all []outcome.ServiceReport // guarded by mu
}

func (s *services) add(r outcome.ServiceReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	alike := 0
	for _, one := range s.all {
		if one.Name == r.Name {
			alike++
		}
	}
	if alike < keptAlike {
		s.all = append(s.all, r)
	}
}

func (s *services) reports() []outcome.ServiceReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]outcome.ServiceReport{}, s.all...)
}

// program runs a client program until it ends or ctx does, and keeps its last
// words.
func (s *Scene) program(ctx context.Context, name string, c rig.Command) error {
	p, err := s.Rig.Run(c)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		// A program that ends by itself at about this time may still say so.
		if !closed(p.Done(), lastWords) {
			_ = p.Stop(syscall.SIGKILL, lastWords) // killed is what it should be
		}
	}
	report := outcome.ServiceReport{Name: name, Failed: p.Err() != nil, Said: lastLines(p.Tail(), 8)}
	if p.Err() != nil && ctx.Err() == nil {
		s.Gauge.Event("drill", "client", name+" ended: "+lastLines(p.Tail(), 1))
	}
	s.services.add(report)
	return nil
}

// lastWords is how long a program may take to print its end.
const lastWords = 2 * time.Second

func closed(done <-chan struct{}, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

// seconds is a duration as programs take it.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

// wholeSeconds is that for programs that take whole ones, at least 1.
func wholeSeconds(d time.Duration) string { return fmt.Sprint(max(int(d.Seconds()), 1)) }

// length is how long the load of one side lasts.
func (p Play) length() time.Duration { return p.Steady + p.Fault + p.After }
