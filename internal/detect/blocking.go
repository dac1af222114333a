package detect

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"spillway/internal/sample"
)

func compareKeys(a, b Suspicion) int { return cmp.Compare(a.Key, b.Key) }

// lookBlocking finds who others wait for: the roots of the trees that waits for
// locks make, one finding for each service at a root. Everybody in a tree is
// explained, from the first sight on.
func lookBlocking(in *Input) []Suspicion {
	var found []Suspicion
	for host, p := range in.Postgres {
		if p == nil || p.Activity == nil || len(p.Activity.Blocked) == 0 {
			continue
		}
		found = append(found, in.trees(host, p.Activity)...)
	}
	slices.SortFunc(found, compareKeys)
	return found
}

// tree is everybody who waits, directly or not, for one backend.
type tree struct {
	root    *sample.Backend
	waiters []*sample.Backend // the longest waiting first
}

func (in *Input) trees(host string, a *sample.Activity) []Suspicion {
	byPID := map[int]*sample.Backend{}
	for i := range a.Blockers {
		byPID[a.Blockers[i].PID] = &a.Blockers[i]
	}
	for i := range a.Blocked {
		byPID[a.Blocked[i].PID] = &a.Blocked[i]
	}
	roots := map[int]*tree{}
	for i := range a.Blocked {
		b := &a.Blocked[i]
		in.claims.take(host, b.PID, "blocking")
		for _, pid := range rootsOf(b.PID, byPID) {
			t := roots[pid]
			if t == nil {
				t = &tree{root: byPID[pid]}
				roots[pid] = t
			}
			if !slices.Contains(t.waiters, b) && b.PID != pid {
				t.waiters = append(t.waiters, b)
			}
		}
	}
	services := map[string][]*tree{}
	for pid, t := range roots {
		in.claims.take(host, pid, "blocking")
		if t.root == nil {
			t.root = &sample.Backend{PID: pid, Kind: "prepared transaction"}
		}
		slices.SortFunc(t.waiters, func(x, y *sample.Backend) int { return x.QueryAt.Compare(y.QueryAt) })
		workload, application := in.serviceOf(host, t.root)
		key := "blocking/" + host + "/" + workload + "/" + application
		services[key] = append(services[key], t)
	}
	var found []Suspicion
	for key, trees := range services {
		if s, ok := in.blocking(key, host, trees); ok {
			found = append(found, s)
		}
	}
	return found
}

// rootsOf are the backends at the end of the waits of pid. In a circle, which
// the server ends by itself, it is the lowest pid.
func rootsOf(pid int, byPID map[int]*sample.Backend) []int {
	seen, roots := map[int]bool{}, []int(nil)
	lowest := pid
	var walk func(pid int)
	walk = func(pid int) {
		if seen[pid] {
			return
		}
		seen[pid], lowest = true, min(lowest, pid)
		b := byPID[pid]
		if b == nil || len(b.BlockedBy) == 0 {
			roots = append(roots, pid)
			return
		}
		for _, next := range b.BlockedBy {
			walk(next)
		}
	}
	walk(pid)
	if len(roots) == 0 {
		roots = append(roots, lowest)
	}
	return roots
}

// holderOf is the client of ours that has a backend.
func (in *Input) holderOf(host string, pid int) *sample.Holder {
	if in.Proxy == nil {
		return nil
	}
	for i := range in.Proxy.Holders {
		if h := &in.Proxy.Holders[i]; h.Host == host && h.PID == pid {
			return h
		}
	}
	return nil
}

func (in *Input) serviceOf(host string, b *sample.Backend) (workload, application string) {
	if h := in.holderOf(host, b.PID); h != nil {
		return h.Workload, h.Application
	}
	return "", b.Application
}

// blockedFor is how long a backend has been at its statement. One that has not begun
// any (it was just connected) has no time of it: zero must not become centuries.
func (in *Input) blockedFor(b *sample.Backend) time.Duration {
	if b.QueryAt.IsZero() {
		return 0
	}
	return in.At.Sub(b.QueryAt)
}

// blocking makes the suspicion of one service whose backends others wait for.
func (in *Input) blocking(key, host string, trees []*tree) (Suspicion, bool) {
	slices.SortFunc(trees, func(a, b *tree) int {
		return cmp.Or(len(b.waiters)-len(a.waiters), cmp.Compare(a.root.PID, b.root.PID))
	})
	waiters, longest := 0, time.Duration(0)
	for _, t := range trees {
		waiters += len(t.waiters)
		for _, w := range t.waiters {
			longest = max(longest, in.blockedFor(w))
		}
	}
	if longest < in.Bounds.BlockedWarn && in.held(key) == None {
		return Suspicion{}, false
	}
	worst := trees[0]
	root := worst.root
	workload, application := in.serviceOf(host, root)
	name := in.backendName(host, root, workload, application)
	s := Suspicion{Key: key, Level: Warn, Upstream: host, Workload: workload, Since: in.At.Add(-longest)}
	if longest >= in.Bounds.BlockedPage || waiters >= in.Bounds.BlockedMany {
		s.Level = Page
	}
	what := ""
	if len(worst.waiters) > 0 && worst.waiters[0].Lock != "" {
		what = " (" + worst.waiters[0].Lock + ")"
	}
	s.Summary = fmt.Sprintf("blocking: %s on %s, pid %d%s, holds a lock that %s for%s, the oldest since %s; its statement: %s",
		name, host, root.PID, rootState(root), one(waiters, "other waits", "others wait"), what, clock(in.At.Add(-longest)), statementText(root.SQL))
	for _, t := range trees[:min(len(trees), 3)] {
		s.Evidence = append(s.Evidence, fmt.Sprintf("root pid %d, %s, user %s from %s, in a transaction since %s: %s",
			t.root.PID, orNone(t.root.Application), t.root.User, orLocal(t.root.Addr), clock(t.root.TransactionAt), statementText(t.root.SQL)))
		for _, w := range t.waiters[:min(len(t.waiters), 3)] {
			s.Evidence = append(s.Evidence, fmt.Sprintf("pid %d, %s, user %s, waits for %s for %s: %s", w.PID, orNone(w.Application), w.User, w.Lock, span(in.blockedFor(w)), statementText(w.SQL)))
		}
	}
	return s, true
}

func (in *Input) backendName(host string, b *sample.Backend, workload, application string) string {
	owner := ""
	if in.Proxy != nil {
		owner = ownerOf(in.Proxy, host, workload)
	}
	if b.Kind != "" && b.Kind != "client backend" && application == "" {
		return b.Kind
	}
	return who(application, workload, owner, []string{b.User})
}

func rootState(b *sample.Backend) string {
	if b.State == "" {
		return ""
	}
	if b.State == "active" || b.StateAt.IsZero() {
		return ", " + b.State
	}
	return fmt.Sprintf(", %s since %s", b.State, clock(b.StateAt))
}
