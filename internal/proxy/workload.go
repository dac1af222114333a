package proxy

import (
	"net/netip"
	"path"
	"strings"
	"time"

	"spillway/internal/schedule"
	"spillway/internal/session"
	"spillway/internal/statement"
)

// LeakRule says what is done about a leak: a client that keeps a server while
// it is idle in a transaction, or pinned, for longer than its workload allows.
type LeakRule uint8

// Leak rules.
const (
	LeakWarn    LeakRule = iota // it is named
	LeakCap                     // and its group gets no more servers than it has
	LeakReclaim                 // the transaction is rolled back, the server taken
)

// Workload is a named class of clients with its bounds, on every upstream.
type Workload struct {
	Name  string
	Match Match // of the workload "default" it is not looked at
	Class schedule.Class
	Mode  schedule.Mode // Off: nothing below acts; Warn: it is counted and logged

	Share    int     // guaranteed slots, relative to the sum of all shares
	Limit    int     // 0 = none
	Lendable float64 // fraction of the share others may use while it is idle
	Borrow   float64 // how much it may use beyond its share, a fraction of it; <0 = without bound
	QueueMax int     // 0 = none
	Pause    schedule.Pausing
	Note     string // who paused or limited it, until when and why; told to clients

	// Timeouts; <0 = what holds without a workload.
	QueueTimeout       time.Duration
	StatementTimeout   time.Duration
	TransactionTimeout time.Duration
	IdleInTransaction  time.Duration

	LeakAfter time.Duration // 0 = leaks are not looked for
	OnLeak    LeakRule
	// LeakExempt are clients whose servers are never capped or taken back; tags
	// are not looked at, and the zero Match exempts nobody.
	LeakExempt Match
}

// Match says which clients belong to a workload: every field that is not empty
// must fit, by one of its values.
type Match struct {
	Users, Databases, Applications []string       // globs as path.Match has them
	Addresses                      []netip.Prefix // the zero Prefix stands for unix sockets
	Tags                           []TagMatch     // of the statement's sqlcommenter comment
}

// TagMatch is one key of a sqlcommenter comment with a glob for its value.
type TagMatch struct{ Key, Value string }

// static tells whether a client fits as far as it is known without a statement.
func (m *Match) static(c *client) bool {
	return fitsGlob(m.Users, c.user) && fitsGlob(m.Databases, c.database) && fitsGlob(m.Applications, c.app) && m.fitsAddress(c)
}

func fitsGlob(globs []string, value string) bool {
	for _, g := range globs {
		if ok, _ := path.Match(g, strings.ReplaceAll(value, "/", "\x00")); ok { // a * fits a slash as well
			return true
		}
	}
	return len(globs) == 0
}

func (m *Match) fitsAddress(c *client) bool {
	for _, net := range m.Addresses {
		if !net.IsValid() && c.local || net.IsValid() && !c.local && net.Contains(c.addr.Unmap()) {
			return true
		}
	}
	return len(m.Addresses) == 0
}

// tagged tells whether a statement's comment has one of the tags.
func (m *Match) tagged(text []byte) bool {
	var room [128]byte
	for _, t := range m.Tags {
		if value, ok := statement.Tag(room[:0], text, t.Key); ok && fitsGlob([]string{t.Value}, string(value)) {
			return true
		}
	}
	return false
}

// empty tells that nothing is asked for.
func (m *Match) empty() bool {
	return len(m.Users)+len(m.Databases)+len(m.Applications)+len(m.Addresses)+len(m.Tags) == 0
}

// enforced tells whether the workload's bounds act.
func (w *Workload) enforced() bool { return w != nil && w.Mode == schedule.Enforce }

// schedules is the part of the workloads that hands out slots; queue is the
// general limit of waits. A workload without a share has none to measure a loan
// by: only its limit bounds what it borrows.
func schedules(list []Workload, queue time.Duration) []schedule.WorkloadConfig {
	out := make([]schedule.WorkloadConfig, 0, len(list))
	for i := range list {
		w := &list[i]
		borrow, wait := w.Borrow, queue
		if w.Share <= 0 {
			borrow = -1
		}
		if w.QueueTimeout >= 0 {
			wait = w.QueueTimeout
		}
		out = append(out, schedule.WorkloadConfig{Name: w.Name, Class: w.Class, Mode: w.Mode, Share: w.Share, Lendable: w.Lendable,
			Borrow: borrow, Limit: w.Limit, QueueMax: w.QueueMax, QueueTimeout: wait, Pause: w.Pause})
	}
	return out
}

// workload finds what a client belongs to; text is a statement of its own, nil
// when only the client is to be judged. Nil: no workload is configured.
func (r *ruling) workload(c *client, text []byte) *Workload {
	for i := range r.Workloads {
		w := &r.Workloads[i]
		switch {
		case w.Name == schedule.DefaultWorkload:
			continue
		case len(w.Match.Tags) > 0 && (text == nil || !w.Match.tagged(text)):
			continue
		case w.Match.static(c):
			return w
		}
	}
	return r.fallback
}

// classify puts a client into its workload and takes the limits from there. It
// is asked at login, when the policy has changed, and when the client calls
// itself something else.
func (l *loop) classify(c *client, pol *ruling) {
	at := *c.place
	at.ruled, at.looked = pol, c.sess.Settings
	w := pol.workload(c, nil)
	if at.operator = pol.operators[c.user]; at.operator {
		w = nil // their slots are their own
	}
	at.exempt = at.operator || w != nil && !w.LeakExempt.empty() && w.LeakExempt.static(c)
	l.assign(c, at, w)
}

// limitKey is what a client's limits depend on.
type limitKey struct {
	database *Database
	user     string
	work     *Workload
}

// maxLimits bounds how many sets of limits a loop keeps.
const maxLimits = 10000

// limitsOf returns the limits of a client in w.
func (l *loop) limitsOf(at *place, w *Workload) *limits {
	rul := at.ruled
	if l.limitsFor != rul || len(l.limitSets) >= maxLimits {
		l.limitsFor, l.limitSets = rul, map[limitKey]*limits{}
	}
	key := limitKey{rul.database(at.database), at.user, w}
	if key.database == nil {
		return at.lim // the pool is going
	}
	lim := l.limitSets[key]
	if lim == nil {
		lim = rul.limits(key.database, at.user, w)
		l.limitSets[key] = lim
	}
	return lim
}

// assign makes w the workload of a client that is at a place but for that.
func (l *loop) assign(c *client, at place, w *Workload) {
	if lim := l.limitsOf(&at, w); lim != nil {
		at.lim = lim
	}
	at.work, at.slots = w, nil
	if w != nil && at.pool != nil {
		at.slots = at.pool.up.host.Workload(w.Name)
	}
	at.group, at.tally = l.proxy.groups.of(w, at.app, c.addr), l.count(&at)
	c.place = l.places.shared(at)
}

// reclassify follows what may have changed since the client's last lease. A
// policy is published a moment before the schedule has it: until then a new
// workload has no slots.
func (l *loop) reclassify(c *client) {
	pol := l.proxy.policy.Load()
	if c.looked != c.sess.Settings && c.sess.Mode != session.Session && c.phase == phaseServe {
		at := *c.place
		at.looked = c.sess.Settings
		if name := l.ownName(c, pol); name != at.app {
			at.app, at.ruled = name, nil
		}
		c.place = l.places.shared(at)
	}
	if c.ruled != pol || c.work != nil && c.slots == nil {
		l.classify(c, pol)
	}
}

// ownName is what the client calls itself, without what we add.
func (l *loop) ownName(c *client, pol *ruling) string {
	name := c.sess.Settings.Get("application_name")
	if pol.ApplicationNameHost {
		if i := strings.LastIndex(name, " - "); i >= 0 {
			name = name[:i]
		}
	}
	return name
}

// tag moves a client for its next transaction into the workload that the
// statement's comment names, or back to its own.
func (l *loop) tag(c *client, text []byte) {
	if c.operator || c.ruled == nil {
		return
	}
	if w := c.ruled.workload(c, text); w != c.work {
		l.assign(c, *c.place, w)
	}
}

// ofWorkload is where a client stands, as the end of a sentence.
func (l *loop) ofWorkload(c *client) string {
	if c.work == nil {
		return ""
	}
	return ", in workload " + c.work.Name + " as application \"" + c.appNow() + "\""
}

// workName is what the client's workload is called; "" without one.
func (p *place) workName() string {
	if p.work == nil {
		return ""
	}
	return p.work.Name
}
