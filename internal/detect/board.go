package detect

import (
	"cmp"
	"slices"
	"time"
)

// maxFindings bounds what made-up names can cost; more are not taken.
const maxFindings = 500

// tellAgain is how long after the last time a finding whose words have changed
// is told again. Its level is told at once.
const tellAgain = 15 * time.Second

// gap is how long a suspicion may be out of sight and still be the same one: a
// frame or two may be late or without the probe's part.
const gap = 3 * time.Second

// board turns suspicions into findings: raised when they have lasted, cleared
// when they have been gone for long enough.
type board struct {
	entries map[string]*entry
}

// entry is one suspicion over time.
type entry struct {
	suspicion Suspicion
	detector  string
	timing    timing
	first     time.Time // of this run of sights
	seen      time.Time // at warn or above
	pageFirst time.Time
	pageSeen  time.Time
	raised    Level
	since     time.Time // of the finding
	told      Finding
	toldAt    time.Time
}

func (b *board) held(key string) Level {
	if e := b.entries[key]; e != nil {
		return e.raised
	}
	return None
}

// see takes one suspicion of a frame.
func (b *board) see(d string, t timing, s Suspicion, at time.Time) {
	e := b.entries[s.Key]
	if e == nil {
		if len(b.entries) >= maxFindings {
			return
		}
		e = &entry{}
		b.entries[s.Key] = e
	}
	if e.raised == None && at.Sub(e.seen) > gap {
		e.first = at
	}
	if s.Level == Page {
		if at.Sub(e.pageSeen) > gap {
			e.pageFirst = at
		}
		e.pageSeen = at
	}
	e.suspicion, e.detector, e.timing, e.seen = s, d, t, at
}

// turn judges every entry at the end of a frame and returns what is to be told.
func (b *board) turn(at time.Time) []Finding {
	var tell []Finding
	for key, e := range b.entries {
		if f, ok := e.turn(at); ok {
			tell = append(tell, f)
		}
		if e.raised == None && at.Sub(e.seen) > gap {
			delete(b.entries, key)
		}
	}
	slices.SortFunc(tell, func(a, b Finding) int { return cmp.Compare(a.Key, b.Key) })
	return tell
}

func (e *entry) turn(at time.Time) (Finding, bool) {
	before := e.raised
	e.raised = e.level(at)
	switch {
	case e.raised == None && before == None:
		return Finding{}, false
	case e.raised == None:
		f := e.told
		f.At, f.Cleared = at, true
		e.told, e.since, e.pageFirst = Finding{}, time.Time{}, time.Time{}
		return f, true
	case before == None:
		e.since = e.first
		if s := e.suspicion.Since; !s.IsZero() && s.Before(e.since) {
			e.since = s
		}
	}
	f := e.finding()
	if f.Level == e.told.Level && (f.Summary == e.told.Summary || at.Sub(e.toldAt) < tellAgain) {
		return Finding{}, false
	}
	e.told, e.toldAt = f, at
	return f, true
}

// level is where the finding stands now.
func (e *entry) level(at time.Time) Level {
	if at.Sub(e.seen) > max(gap, e.timing.keep) || e.raised == None && at.Sub(e.seen) > gap {
		return None
	}
	lasted := func(first, seen time.Time, after time.Duration) bool {
		return !first.IsZero() && at.Sub(seen) <= gap && at.Sub(first) >= after
	}
	switch {
	case lasted(e.pageFirst, e.pageSeen, e.timing.page):
		return Page
	case e.raised == Page && at.Sub(e.pageSeen) <= e.timing.keep:
		return Page
	case e.raised != None || lasted(e.first, e.seen, e.timing.warn):
		return Warn
	}
	return None
}

func (e *entry) finding() Finding {
	s := &e.suspicion
	return Finding{Key: s.Key, Detector: e.detector, Level: e.raised, Upstream: s.Upstream, Workload: s.Workload, Fingerprint: s.Fingerprint, Summary: s.Summary,
		Evidence: s.Evidence, Runbook: Runbook(e.detector), Since: e.since, At: e.seen}
}

// open are the findings that stand, those that page first.
func (b *board) open() []Finding {
	var list []Finding
	for _, e := range b.entries {
		if e.raised != None {
			list = append(list, e.finding())
		}
	}
	Sort(list)
	return list
}

// Sort puts findings in the order in which they are shown: those that page
// first, then the older ones.
func Sort(list []Finding) {
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), a.Since.Compare(b.Since), cmp.Compare(a.Key, b.Key))
	})
}
