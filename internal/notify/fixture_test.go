package notify

import (
	"context"
	"fmt"
	"slices"
	"spillway/internal/notify/alarm"
	"spillway/internal/notify/send"
	"strings"
	"sync"
	"testing"
	"time"
)

// endpoint is one that the test decides for: what it was sent, in order, and
// what it answers to each.
type endpoint struct {
	mu     sync.Mutex
	came   []string
	answer func(ctx context.Context, a alarm.Alarm) error // nil takes everything
}

func (e *endpoint) Send(ctx context.Context, a alarm.Alarm) error {
	e.mu.Lock()
	answer := e.answer
	e.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, a); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.came = append(e.came, fmt.Sprintf("%s %s %s", a.Key, a.Status, a.Level))
	return nil
}

func (e *endpoint) set(answer func(ctx context.Context, a alarm.Alarm) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) got() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.came)
}

// hang answers when the request's time is over, as an endpoint that does not
// answer at all looks to a sender.
func hang(ctx context.Context, _ alarm.Alarm) error {
	<-ctx.Done()
	return &send.Failure{Verdict: send.Again, Text: "did not answer in time"}
}

func fail(verdict send.Verdict, after time.Duration) func(context.Context, alarm.Alarm) error {
	return func(context.Context, alarm.Alarm) error {
		return &send.Failure{Verdict: verdict, Status: 500, After: after, Text: "answered 500"}
	}
}

func channel(name string, e Sender) Channel {
	return Channel{Name: name, Kind: "webhook", Levels: []alarm.Level{alarm.Warn, alarm.Page}, Timeout: 10 * time.Second,
		Endpoints: []Endpoint{{Host: name, Print: "1", Sender: e}}}
}

// office is a desk under test with what it reported.
type office struct {
	*Desk
	mu    sync.Mutex
	found []alarm.Alarm
}

func open(t *testing.T, store Store, channels ...Channel) *office {
	t.Helper()
	o := &office{}
	o.Desk = New(Config{Store: store, Found: func(a alarm.Alarm) {
		o.mu.Lock()
		o.found = append(o.found, a)
		o.mu.Unlock()
		o.Take(a) // as the node does
	}})
	o.Keep(channels)
	if err := o.Start(); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := o.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func (o *office) troubles() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for _, a := range o.found {
		all = append(all, fmt.Sprintf("%s %s %s", a.Key, a.Status, a.Level))
	}
	return all
}

func firing(key string, level alarm.Level) alarm.Alarm {
	return alarm.Alarm{Key: key, Status: alarm.Firing, Level: level, Summary: key, Since: time.Now(), At: time.Now()}
}

func resolved(key string) alarm.Alarm {
	a := firing(key, alarm.Warn)
	a.Status = alarm.Resolved
	return a
}

func want(t *testing.T, what string, got []string, wanted ...string) {
	t.Helper()
	if !slices.Equal(got, wanted) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, " | "), strings.Join(wanted, " | "))
	}
}
