package record

import (
	"errors"
	"fmt"
	"time"

	"spillway/internal/record/incident"
	"spillway/internal/record/store"
)

// health is how the log is.
type health struct {
	since time.Time // away since then; zero while it is well, or not tried yet
	err   error
	told  time.Time // when the finding was told last; zero = not told
	fine  bool      // has been written to
}

// logKey is the key of the finding about the log.
const logKey = "record/log"

// away reports whether the log is known to be away.
func (r *Record) away() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.health.since.IsZero()
}

// sick says that the log failed.
func (r *Record) sick(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.health.since.IsZero() {
		r.health.since = time.Now()
		r.config.Log.Warn("the log is away; events wait in memory, and it is opened again", "error", err)
	}
	r.health.err, r.health.fine = err, false
}

// well says that the log was written to.
func (r *Record) well() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.health.since.IsZero() {
		r.config.Log.Info("the log is back", "away", time.Since(r.health.since).Round(time.Second).String(), "waiting", len(r.backlog))
	}
	r.health = health{fine: true, told: r.health.told}
}

// tellHealth tells the finding about the log when it changes, and once a minute.
func (r *Record) tellHealth() {
	if r.config.Found == nil {
		return
	}
	if f, tell := r.healthFinding(time.Now()); tell {
		r.config.Found(f)
	}
}

func (r *Record) healthFinding(now time.Time) (incident.Finding, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.health
	f := incident.Finding{
		Key: logKey, Detector: "log", Level: incident.Warn, Since: h.since, At: now,
		Runbook: "Look at the disk of data_dir (df, dmesg) or at the NATS cluster; the log opens by itself when it can. The pooler does not need it. Events wait in memory, so do not restart the node if that can be helped.",
	}
	if h.since.IsZero() {
		f.Cleared, f.Summary = true, "the record's log is written again"
		tell := !h.told.IsZero() && h.fine
		if tell {
			h.told = time.Time{}
		}
		return f, tell
	}
	if errors.Is(h.err, store.ErrLocked) && now.Sub(h.since) < lockGrace || now.Sub(h.told) < time.Minute {
		return f, false
	}
	h.told = now
	f.Summary = fmt.Sprintf("the record's log cannot be written: %v", h.err)
	f.Evidence = []string{fmt.Sprintf("%d entries wait in memory, %d were lost", len(r.backlog), r.lost)}
	return f, true
}

// State is how the record is, for the API.
type State struct {
	Open    bool      `json:"open"`
	Where   string    `json:"where"`
	Since   time.Time `json:"away_since,omitzero"`
	Problem string    `json:"problem,omitempty"`
	Waiting int       `json:"waiting"`
	Bytes   int       `json:"waiting_bytes"`
	Lost    uint64    `json:"lost"`
}

// State returns how the record is now.
func (r *Record) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := State{Open: r.open.Load() != nil, Where: r.config.Store.Dir, Since: r.health.since, Waiting: len(r.backlog), Bytes: r.bytes, Lost: r.lostAll}
	if r.config.Store.URL != "" {
		s.Where = "cluster"
	}
	if r.health.err != nil {
		s.Problem = r.health.err.Error()
	}
	return s
}
