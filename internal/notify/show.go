package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"spillway/internal/notify/alarm"
	"spillway/internal/notify/send"
)

// State is how one endpoint of a channel fares.
type State struct {
	Channel  string     `json:"channel"`
	Kind     string     `json:"kind"`
	Endpoint string     `json:"endpoint"` // host and port
	Waiting  int        `json:"waiting"`  // messages
	Oldest   *time.Time `json:"oldest,omitempty"`
	Open     int        `json:"open"` // troubles it knows of, or is about to
	Failing  bool       `json:"failing"`
	Failures int        `json:"failures"` // in a row
	Error    string     `json:"error,omitempty"`
	Next     *time.Time `json:"next_attempt_at,omitempty"`
	LastSent *time.Time `json:"last_sent_at,omitempty"`
	Sent     uint64     `json:"sent"`
	Failed   uint64     `json:"failed"`  // attempts
	Refused  uint64     `json:"refused"` // alarms
	Dropped  uint64     `json:"dropped"` // alarms lost: refused, too old, or the queue was full
	Levels   []string   `json:"levels"`
}

// States are all endpoints, by channel.
func (d *Desk) States() []State {
	states := []State{}
	for _, l := range d.all() {
		states = append(states, l.state(time.Now()))
	}
	slices.SortFunc(states, func(a, b State) int {
		return strings.Compare(a.Channel+"\x00"+a.Endpoint, b.Channel+"\x00"+b.Endpoint)
	})
	return states
}

func (l *lane) state(now time.Time) State {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, oldest, _ := l.queue.depth()
	s := State{
		Channel: l.channel.Name, Kind: l.channel.Kind, Endpoint: l.endpoint.Host, Waiting: waiting, Oldest: stamp(oldest), Open: len(l.queue.threads),
		Failing: l.health.failing(), Failures: l.health.failures, Error: l.health.last, LastSent: stamp(l.counts.LastSent),
		Sent: l.counts.Sent, Failed: l.counts.Failed, Refused: l.counts.Refused, Dropped: l.queue.dropped,
	}
	if waiting > 0 && l.quiet.After(now) {
		s.Next = stamp(l.quiet)
	}
	for _, level := range l.channel.Levels {
		s.Levels = append(s.Levels, string(level))
	}
	return s
}

func stamp(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// Tried is how a test of one endpoint went.
type Tried struct {
	Channel  string        `json:"channel"`
	Endpoint string        `json:"endpoint"`
	Took     time.Duration `json:"-"`
	Seconds  float64       `json:"seconds"`
	Error    string        `json:"error,omitempty"`
}

// ErrNoChannel answers a test of a channel that is not there.
var ErrNoChannel = errors.New("there is no such channel")

// Test sends a test message through every endpoint of a channel at once, past
// its queue. At PagerDuty it is resolved at once.
func (d *Desk) Test(ctx context.Context, name string) ([]Tried, error) {
	for _, l := range d.all() {
		l.mu.Lock()
		c := l.channel
		l.mu.Unlock()
		if c.Name == name {
			return c.Test(ctx), nil
		}
	}
	return nil, fmt.Errorf("test channel %q: %w", name, ErrNoChannel)
}

// Test is Desk.Test without a desk.
func (c *Channel) Test(ctx context.Context) []Tried {
	tried := make([]Tried, len(c.Endpoints))
	done := make(chan struct{})
	for i, e := range c.Endpoints {
		go func() {
			tried[i] = c.try(ctx, e)
			done <- struct{}{}
		}()
	}
	for range c.Endpoints {
		<-done
	}
	return tried
}

func (c *Channel) try(ctx context.Context, e Endpoint) Tried {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	began := time.Now()
	a := alarm.Alarm{
		Key: fmt.Sprintf("test/%d", began.UnixNano()), Status: alarm.Firing, Level: alarm.Test, Detector: "test",
		Summary: "test of alarm channel " + c.Name + ": nothing is wrong", Since: began, At: began,
	}
	err := e.Sender.Send(ctx, a)
	if err == nil && c.Kind == string(send.PagerDuty) {
		a.Status, a.At = alarm.Resolved, time.Now()
		err = e.Sender.Send(ctx, a)
	}
	t := Tried{Channel: c.Name, Endpoint: e.Host, Took: time.Since(began), Seconds: time.Since(began).Seconds()}
	if err != nil {
		t.Error = err.Error()
	}
	return t
}
