package act

import (
	"context"
	"path"
	"slices"
	"strconv"
	"time"
)

// Holder is a connection that an action may hit, as it was seen.
type Holder struct {
	Client        uint64    `json:"client,omitempty"` // 0: it does not come through Spillway
	PID           int       `json:"pid"`
	Workload      string    `json:"workload,omitempty"`
	Application   string    `json:"application,omitempty"`
	User          string    `json:"user,omitempty"`
	Database      string    `json:"database,omitempty"`
	Server        string    `json:"server,omitempty"`
	Addr          string    `json:"addr,omitempty"`
	State         string    `json:"state"`                 // as pg_stat_activity names it
	Fingerprint   string    `json:"fingerprint,omitempty"` // 16 hexadecimal digits
	SQL           string    `json:"sql,omitempty"`         // literals removed
	Guarded       string    `json:"guarded,omitempty"`     // why it is left alone unless it is named
	BackendAt     time.Time `json:"backend_at"`
	TransactionAt time.Time `json:"transaction_at,omitzero"`
	QueryAt       time.Time `json:"query_at,omitzero"` // zero: runs nothing
	IdleAt        time.Time `json:"idle_at,omitzero"`
}

// Ground is where holders are seen and struck.
type Ground interface {
	Holders(ctx context.Context) ([]Holder, error)
	// Strike cancels what targets run and rolls back what is idle, or ends them.
	// Each is looked at again right before: one that is no longer as it was seen
	// is left alone. It answers with an outcome for each, "gone" for those.
	Strike(ctx context.Context, targets []Holder, terminate bool, text string) ([]string, error)
}

// same reports whether b is a later sight of what a was.
func (a *Holder) same(b *Holder) bool {
	return a.Client == b.Client && a.PID == b.PID && a.BackendAt.Equal(b.BackendAt) && a.TransactionAt.Equal(b.TransactionAt) &&
		(!a.TransactionAt.IsZero() || a.QueryAt.Equal(b.QueryAt))
}

func (a *Holder) state() string {
	switch a.State {
	case "active", "fastpath function call":
		return StateActive
	case "idle":
		return StateIdle
	}
	return StateInTxn
}

// Since is when it began what it does now: a statement, or to be silent.
func (a *Holder) Since() time.Time {
	switch {
	case a.state() == StateActive && !a.QueryAt.IsZero():
		return a.QueryAt
	case !a.IdleAt.IsZero():
		return a.IdleAt
	}
	return a.TransactionAt
}

// Pick returns the holders that are meant, and how many were passed over
// because something guards them.
func (s *Selection) Pick(list []Holder, now time.Time) (hits []Holder, guarded int) {
	for _, h := range list {
		if !s.fits(&h, now) {
			continue
		}
		if h.Guarded != "" && !s.names(&h) {
			guarded++
			continue
		}
		hits = append(hits, h)
	}
	return hits, guarded
}

func (s *Selection) fits(h *Holder, now time.Time) bool {
	if !globbed(s.Workload, h.Workload) || !globbed(s.User, h.User) || !globbed(s.Database, h.Database) || !globbed(s.Application, h.Application) {
		return false
	}
	if len(s.PIDs) > 0 && !slices.Contains(s.PIDs, h.PID) {
		return false
	}
	if s.Fingerprint != "" && !samePrint(s.Fingerprint, h.Fingerprint) {
		return false
	}
	// Idle sessions hold their server by right: they are meant only when said.
	if s.State == "" && h.state() == StateIdle && len(s.PIDs) == 0 || s.State != "" && s.State != h.state() {
		return false
	}
	return s.OlderThan == 0 || !h.Since().IsZero() && now.Sub(h.Since()) >= time.Duration(s.OlderThan)
}

// names tells selections that mean this very holder although it is guarded.
func (s *Selection) names(h *Holder) bool {
	switch {
	case slices.Contains(s.PIDs, h.PID):
		return true
	case h.Guarded == "ddl":
		return s.Fingerprint != ""
	case h.Guarded == "dump":
		return s.Application != "" && s.Application == h.Application
	}
	return false
}

func globbed(glob, value string) bool {
	if glob == "" {
		return true
	}
	ok, err := path.Match(glob, value)
	return ok && err == nil
}

func samePrint(a, b string) bool {
	x, errX := strconv.ParseUint(a, 16, 64)
	y, errY := strconv.ParseUint(b, 16, 64)
	return errX == nil && errY == nil && x == y
}
