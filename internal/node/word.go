package node

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// finding is what a detector says, as every room that acts on it gets it: the
// record opens incidents of it, notices go out, a named automatic action starts.
// It is told again whenever it changes, and a last time with Cleared.
type finding struct {
	Key      string // the same for the same trouble of the same thing: "leak/main/data-sync/celery"
	Detector string // "leak", "slots-forecast"
	Level    string // "warn" or "page"
	Upstream string // the PostgreSQL host it is about; may be empty
	Workload string // may be empty
	// Fingerprint of the statement it is about, 16 hexadecimal digits; may be empty.
	Fingerprint string
	Summary     string    // one sentence with who, how much and since when
	Evidence    []string  // what it rests on, a line each
	Runbook     string    // what to do
	Since       time.Time // when it began
	At          time.Time // when it was last seen, or when it was gone
	Cleared     bool
}

// event is what a room puts into the record.
type event struct {
	At   time.Time
	Kind string
	Body any
}

// word passes findings and events on. Who listens must not block: it takes what
// it gets into a queue of its own. Joiners subscribe before services start.
type word struct {
	log      *slog.Logger
	mu       sync.RWMutex
	findings []func(finding)
	events   []func(context.Context, event) error
	asides   []func(event)
}

// onFinding asks for every finding from now on.
func (w *word) onFinding(take func(finding)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.findings = append(w.findings, take)
}

// onEvent asks for every event from now on.
func (w *word) onEvent(take func(context.Context, event) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, take)
}

// overhear asks for every event, beside those who keep it: what is done with it
// matters to nobody.
func (w *word) overhear(take func(event)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asides = append(w.asides, take)
}

// found tells a finding to everybody who asked.
func (w *word) found(f finding) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for _, take := range w.findings {
		take(f)
	}
}

// note tells an event to everybody who asked, and logs it where nobody did. The
// error is the first one's: an event that must stand before an effect did not.
func (w *word) note(ctx context.Context, kind string, body any) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	e := event{At: time.Now(), Kind: kind, Body: body}
	for _, take := range w.asides {
		take(e)
	}
	if len(w.events) == 0 {
		w.log.Info("event", "kind", kind, "body", body)
		return nil
	}
	for _, take := range w.events {
		if err := take(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
