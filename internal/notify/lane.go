package notify

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"spillway/internal/notify/alarm"
	"spillway/internal/notify/send"
)

// lane works off the queue of one endpoint, one message at a time.
type lane struct {
	name   string
	tell   func(kind string, body any) // into the record
	change func()                      // the queue is to be kept
	ailing func(l *lane)               // health has changed; called without mu
	log    *slog.Logger
	cancel context.CancelFunc
	wake   chan struct{} // holds one token: something is new

	mu       sync.Mutex
	queue    *queue    // guarded by mu
	channel  Channel   // guarded by mu
	endpoint Endpoint  // guarded by mu
	quiet    time.Time // guarded by mu; nothing is sent before
	health   health    // guarded by mu
	counts   Counts    // guarded by mu
}

// health is how an endpoint fares.
type health struct {
	failures int       // in a row
	since    time.Time // of the first of them
	last     string    // what the last one said
	locked   bool      // key or address are wrong
	refused  bool      // the last message was not taken for good
}

// failuresToTell is after how many failures in a row a failing endpoint is
// reported; one alone is not worth a message.
const failuresToTell = 3

// failing says whether people should hear of it.
func (h *health) failing() bool { return h.failures >= failuresToTell || h.locked || h.refused }

// Counts are what a lane has done since the start.
type Counts struct {
	Sent, Failed, Refused uint64
	LastSent              time.Time
}

func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take queues an alarm and returns at once.
func (l *lane) take(a alarm.Alarm, now time.Time) {
	l.mu.Lock()
	before := l.queue.dropped
	changed := l.queue.take(a, l.channel.wants(a), now)
	lost := l.queue.dropped > before
	l.mu.Unlock()
	if lost {
		l.log.Warn("alarm queue full, one is dropped", "channel", l.name, "key", a.Key)
	}
	if changed {
		l.change()
		l.nudge()
	}
}

// run works until ctx ends.
func (l *lane) run(ctx context.Context) {
	for ctx.Err() == nil {
		key, m, wait := l.next(time.Now())
		if m != nil {
			l.attempt(ctx, key, m)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// restWait is how long a lane without anything to do sleeps.
const restWait = time.Hour

// next is the message to send now, or how long to wait for one.
func (l *lane) next(now time.Time) (string, *queued, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if quiet := l.quiet.Sub(now); quiet > 0 {
		return "", nil, quiet
	}
	key, m := l.queue.next(now)
	if m != nil {
		return key, m, 0
	}
	if at := l.queue.wake(); !at.IsZero() {
		return "", nil, max(at.Sub(now), 0)
	}
	return "", nil, restWait
}

func (l *lane) attempt(ctx context.Context, key string, m *queued) {
	l.mu.Lock()
	sender, timeout := l.endpoint.Sender, l.channel.Timeout
	l.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, timeout)
	err := sender.Send(limited, m.Alarm)
	cancel()
	if ctx.Err() != nil {
		l.mu.Lock()
		l.queue.release(key)
		l.mu.Unlock()
		return
	}
	l.settle(key, m, err, time.Now())
}

// settle notes how an attempt went.
func (l *lane) settle(key string, m *queued, err error, now time.Time) {
	verdict, lost := l.note(key, err, now)
	log := l.log.With("channel", l.name, "key", key, "status", m.Alarm.Status, "attempt", m.Attempts+1)
	body := map[string]any{"channel": l.name, "key": key, "status": m.Alarm.Status, "level": m.Alarm.Level, "attempts": m.Attempts + 1}
	switch {
	case err == nil:
		log.Info("alarm sent")
		l.tell("notify.sent", body)
	case verdict == send.Refused:
		log.Error("alarm refused, it is not sent again", "error", err)
		body["error"] = err.Error()
		l.tell("notify.refused", body)
	case lost:
		log.Error("alarm too old, it is given up", "error", err)
		body["error"] = err.Error()
		l.tell("notify.dropped", body)
	default:
		log.Warn("alarm not sent, it is tried again", "error", err)
	}
	l.change()
	l.ailing(l)
}

// note moves the queue on.
func (l *lane) note(key string, err error, now time.Time) (verdict send.Verdict, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.queue.delivered(key, now)
		l.health, l.quiet = health{}, now.Add(l.channel.Gap)
		l.counts.Sent++
		l.counts.LastSent = now
		return send.Again, false
	}
	f := &send.Failure{Text: err.Error()}
	_ = errors.As(err, &f) // any other error counts as one to try again
	h := &l.health
	if h.failures == 0 {
		h.since = now
	}
	h.last, h.locked, h.refused = f.Text, f.Verdict == send.Locked, f.Verdict == send.Refused
	l.counts.Failed++
	if f.Verdict == send.Refused {
		l.queue.refused(key)
		l.counts.Refused++
		l.quiet = now.Add(max(l.channel.Gap, firstPause))
		return f.Verdict, false
	}
	h.failures++
	l.quiet = now.Add(max(pause(h.failures, f.After, h.locked), l.channel.Gap))
	return f.Verdict, l.queue.failed(key, now)
}

// keep takes a changed channel; what was wrong may be mended.
func (l *lane) keep(c Channel, e Endpoint) {
	l.mu.Lock()
	if e.Print != l.endpoint.Print {
		l.quiet = time.Time{}
	}
	l.channel, l.endpoint, l.queue.repeat = c, e, c.Repeat
	l.mu.Unlock()
	l.nudge()
}
