package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
	"spillway/internal/record/store"
)

// Summary is an incident in a list.
type Summary struct {
	ID        string          `json:"id"`
	Title     string          `json:"title"`
	Status    incident.Status `json:"status"`
	Severity  int             `json:"severity"`
	OpenedAt  time.Time       `json:"opened_at"`
	Restored  time.Time       `json:"restored_at,omitzero"`
	Resolved  time.Time       `json:"resolved_at,omitzero"`
	AckedBy   string          `json:"acked_by,omitempty"`
	Commander string          `json:"commander,omitempty"`
	Holding   int             `json:"findings_holding"`
	Findings  int             `json:"findings"`
	OpenItems int             `json:"open_items"`
}

// List returns the incidents, the newest first.
func (r *Record) List() []Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []Summary{}
	for _, i := range r.book.All() {
		s := Summary{
			ID: i.ID, Title: i.Title, Status: i.Status, Severity: i.Severity, OpenedAt: i.OpenedAt, Restored: i.At(incident.AllRestored),
			Resolved: i.At(incident.AtResolved), AckedBy: i.AckedBy, Commander: i.Commander, Holding: i.Holding(), Findings: len(i.Findings),
		}
		for _, item := range i.Items {
			if !item.Done {
				s.OpenItems++
			}
		}
		list = append(list, s)
	}
	return list
}

// Items returns the action items of all incidents, the newest incident's first.
func (r *Record) Items() []incident.Item {
	r.mu.Lock()
	defer r.mu.Unlock()
	items := []incident.Item{}
	for _, i := range r.book.All() {
		items = append(items, i.Items...)
	}
	return items
}

// Show returns an incident with its whole timeline: from the log, and what
// waits for it. While the log is away it is what this process remembers.
func (r *Record) Show(ctx context.Context, ref string) (*incident.Incident, error) {
	r.mu.Lock()
	id, err := r.book.Find(ref)
	if err != nil {
		r.mu.Unlock()
		return nil, err
	}
	remembered, err := clone(r.book.Get(id))
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	log := r.open.Load()
	if log == nil {
		r.addFresh(remembered)
		return remembered, nil
	}
	// What waits first: an event that is written between the two is seen twice,
	// never not at all.
	waits := r.waiting(id)
	var events []event.Event
	seen := map[string]bool{}
	err = log.Read(ctx, store.Which{Incident: id}, func(m store.Stored) error {
		e, err := event.Decode(m.Bytes)
		if err == nil {
			events, seen[e.ID] = append(events, e), true
		}
		return nil
	})
	var short *store.Short
	if err != nil && !errors.As(err, &short) {
		r.config.Log.Warn("incident not read from the log, shown from memory", "incident", id, "error", err)
		return remembered, nil
	}
	for _, e := range waits {
		if !seen[e.ID] {
			events = append(events, e)
		}
	}
	if i := incident.Fold(events); i != nil {
		remembered = i
	}
	r.addFresh(remembered)
	return remembered, nil
}

// clone copies an incident, so that it can be read without the lock.
func clone(i *incident.Incident) (*incident.Incident, error) {
	text, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("copy incident: %w", err)
	}
	var copied incident.Incident
	if err := json.Unmarshal(text, &copied); err != nil {
		return nil, fmt.Errorf("copy incident: %w", err)
	}
	copied.Timeline = append([]event.Event(nil), i.Timeline...)
	return &copied, nil
}

// ask decides something for a person and waits for it to stand in the log, or
// says that it does not yet.
func (r *Record) ask(ctx context.Context, decide decision) (recorded bool, err error) {
	e, err := r.submit(decide)
	if err != nil {
		return false, err
	}
	return r.acknowledge(ctx, e) == nil, nil
}

// Do asks a verb of the book for a person. recorded says whether it stands in
// the log; it holds in any case.
func (r *Record) Do(ctx context.Context, who string, verb func(b *incident.Book, a incident.Asker) ([]event.Event, error)) (recorded bool, err error) {
	asker := r.asker(who)
	return r.ask(ctx, func(b *incident.Book) ([]event.Event, error) { return verb(b, asker) })
}

// Told takes a finding from a detector. It does not wait.
func (r *Record) Told(f incident.Finding) {
	if f.Detector == incident.Untaken {
		return // the record's own words
	}
	asker := r.asker("")
	if f.Summary == "" {
		f.Summary = f.Key
	}
	bound(&f)
	// A finding that could not be kept is told again when it changes.
	_, _ = r.submit(func(b *incident.Book) ([]event.Event, error) { return b.Found(f, asker), nil })
}

// Bounds of a finding.
const (
	mostEvidence = 50
	mostLine     = 2000
)

// bound cuts what a detector says to what an event holds.
func bound(f *incident.Finding) {
	cut := func(text *string, n int) {
		if len(*text) > n {
			*text = (*text)[:n] + "…"
		}
	}
	cut(&f.Key, mostLine)
	cut(&f.Summary, mostLine)
	cut(&f.Runbook, mostLine)
	cut(&f.Workload, mostLine)
	cut(&f.Upstream, mostLine)
	f.Evidence = append([]string(nil), f.Evidence[:min(len(f.Evidence), mostEvidence)]...)
	for n := range f.Evidence {
		cut(&f.Evidence[n], mostLine/4)
	}
}

// ErrAway says that the log is not open.
var ErrAway = errors.New("the log is not open")

// Verify checks the chain of the whole log. head is the hash of an event that
// must be in it, "" for none.
func (r *Record) Verify(ctx context.Context, head string) (event.Verdict, error) {
	log := r.open.Load()
	if log == nil {
		return event.Verdict{}, ErrAway
	}
	return log.Verify(ctx, head)
}

// Resolve runs the smoke checks and resolves an incident when they pass, or for
// a reason.
func (r *Record) Resolve(ctx context.Context, ref, reason, who string) (run *incident.SmokeRun, recorded bool, err error) {
	run = r.smoke(ctx)
	r.giveRest(ref)
	asker := r.asker(who)
	recorded, err = r.ask(ctx, func(b *incident.Book) ([]event.Event, error) { return b.Resolve(ref, reason, run, asker) })
	return run, recorded, err
}

// autoEvery is how often it is tried to resolve an incident without anybody.
const autoEvery = 10 * time.Minute

// resolveByItself resolves an incident that has been restored for long, in the
// background.
func (r *Record) resolveByItself(ctx context.Context, id string) {
	r.mu.Lock()
	tried, have := r.auto[id]
	if have && time.Since(tried) < autoEvery {
		r.mu.Unlock()
		return
	}
	r.auto[id] = time.Now()
	r.mu.Unlock()
	r.done.Go(func() {
		run := r.smoke(ctx)
		asker := r.asker("")
		reason := ""
		if len(run.Checks) == 0 {
			reason = "restored for long, and nobody said that it is not over"
		}
		_, _ = r.submit(func(b *incident.Book) ([]event.Event, error) { return b.Resolve(id, reason, run, asker) })
	})
}

// smokeWithin bounds one run of all smoke checks.
const smokeWithin = 20 * time.Second

// smoke runs the smoke checks, all at once.
func (r *Record) smoke(ctx context.Context) *incident.SmokeRun {
	ctx, cancel := context.WithTimeout(ctx, smokeWithin)
	defer cancel()
	run := &incident.SmokeRun{At: time.Now(), Checks: make([]incident.Smoke, len(r.config.Smoke))}
	results := make(chan int)
	for n, check := range r.config.Smoke {
		go func() {
			began := time.Now()
			err := check.Run(ctx)
			c := incident.Smoke{Name: check.Name(), Passed: err == nil, Took: time.Since(began).Seconds()}
			if err != nil {
				c.Told = err.Error()
				c.Told = c.Told[:min(len(c.Told), mostLine)]
			}
			run.Checks[n] = c
			results <- n
		}()
	}
	for range r.config.Smoke {
		<-results
	}
	return run
}
