package detect

import (
	"fmt"
	"slices"
	"time"

	"spillway/internal/sample"
)

// leakSight is what speaks for a leak of one group.
type leakSight struct {
	stuck    []*sample.Holder // idle for too long, the longest first
	lingers  int              // idle for a moment
	proxy    bool             // leak_after of the workload says so
	grows    bool
	oldestAt time.Time
}

// lookLeak finds services that keep servers and do not give them back: by
// leak_after where the workload has one, and otherwise where several holders of
// one service are idle in transactions for LeakAfter, or ever more of them are.
func lookLeak(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	var found []Suspicion
	for i := range in.Proxy.Hosts {
		h := &in.Proxy.Hosts[i]
		for _, g := range groupsOf(in.Proxy, h.Name) {
			sight, ok := in.leaks(g)
			if ok {
				found = append(found, in.leak(h, g, sight))
			}
		}
	}
	return append(found, in.reclaimed(found)...)
}

func (in *Input) leaks(g *Group) (leakSight, bool) {
	s := leakSight{}
	for _, h := range g.members {
		idle := idleFor(h, in.At)
		switch {
		case h.Replicates || in.claims.of(h.Host, h.PID) != "":
		case h.Leaking:
			s.proxy, s.stuck = true, append(s.stuck, h)
		case idle >= in.Bounds.LeakAfter:
			s.stuck = append(s.stuck, h)
		}
		if idle >= lingers {
			s.lingers++
		}
	}
	s.grows = s.lingers >= 2*in.Bounds.LeakMany-1 &&
		in.trends.of(idleTrend(g.Host, g.Workload, g.Application)).grows(in.At, 20*time.Second, float64(in.Bounds.LeakMany))
	if s.grows && len(s.stuck) == 0 {
		for _, h := range g.members {
			if idleFor(h, in.At) >= lingers {
				s.stuck = append(s.stuck, h)
			}
		}
	}
	key := leakKey(g.Host, g.Workload, g.Application)
	many := in.Bounds.LeakMany
	if in.held(key) != None {
		many = 1
	}
	if !s.proxy && !s.grows && len(s.stuck) < many {
		return s, false
	}
	slices.SortFunc(s.stuck, func(a, b *sample.Holder) int { return a.IdleAt.Compare(b.IdleAt) })
	s.oldestAt = s.stuck[0].IdleAt
	if s.oldestAt.IsZero() {
		s.oldestAt = s.stuck[0].CheckedOutAt
	}
	return s, true
}

func leakKey(host, workload, application string) string {
	return "leak/" + host + "/" + workload + "/" + application
}

func (in *Input) leak(host *sample.Host, g *Group, sight leakSight) Suspicion {
	for _, h := range sight.stuck {
		in.claims.take(h.Host, h.PID, "leak")
	}
	n := len(sight.stuck)
	s := Suspicion{Key: leakKey(g.Host, g.Workload, g.Application), Level: Warn, Upstream: g.Host, Workload: g.Workload, Since: sight.oldestAt}
	if host.Usable > 0 && float64(n) >= in.Bounds.LeakShare*float64(host.Usable) && n > 1 {
		s.Level = Page
	}
	sql, print := commonest(sight.stuck)
	s.Summary = fmt.Sprintf("leak: %s keeps %s of %s idle, the first since %s; last statement: %s",
		g.Name(), one(n, "server", "servers"), g.Host, clock(sight.oldestAt), statementText(sql))
	rise := "its slope is not known yet"
	if slope, ok := in.trends.of(heldTrend(g.Host, g.Workload, g.Application)).slope(in.At, time.Minute); ok {
		rise = fmt.Sprintf("%+.1f servers a minute", slope*60)
	}
	s.Evidence = append(s.Evidence,
		fmt.Sprintf("%d of its %d servers are idle in a transaction or pinned and idle; the first for %s", n, g.Holders, span(in.At.Sub(sight.oldestAt))),
		fmt.Sprintf("over the last minute: %s", rise),
		fmt.Sprintf("users %s; addresses %s", list(g.Users), list(g.Addresses)),
		fmt.Sprintf("statement %016x: %s", print, statementText(sql)))
	if w := workloadOf(in.Proxy, g.Host, g.Workload); w != nil && w.LeakAfter > 0 {
		s.Evidence = append(s.Evidence, fmt.Sprintf("leak_after of the workload is %s, on_leak %s", span(w.LeakAfter), w.OnLeak))
	}
	return s
}

// reclaimFresh is how long a leak that the proxy has ended counts as going on.
const reclaimFresh = time.Minute

// reclaimed finds leaks that are gone from the holders because the proxy takes
// their servers back.
func (in *Input) reclaimed(seen []Suspicion) []Suspicion {
	var found []Suspicion
	byKey := map[string]int{}
	for i := range in.Proxy.Leaks {
		l := &in.Proxy.Leaks[i]
		key := leakKey(l.Host, l.Workload, l.Application)
		if in.At.Sub(l.LastAt) > reclaimFresh || slices.ContainsFunc(seen, func(s Suspicion) bool { return s.Key == key }) {
			continue
		}
		line := fmt.Sprintf("%s: %d found idle since %s, the last one at %s", l.Addr, l.Marked, clock(l.FirstAt), clock(l.LastAt))
		if at, there := byKey[key]; there {
			if len(found[at].Evidence) < maxNames {
				found[at].Evidence = append(found[at].Evidence, line)
			}
			continue
		}
		byKey[key] = len(found)
		name := who(l.Application, l.Workload, ownerOf(in.Proxy, l.Host, l.Workload), []string{l.User})
		found = append(found, Suspicion{Key: key, Level: Warn, Upstream: l.Host, Workload: l.Workload, Since: l.FirstAt,
			Summary:  fmt.Sprintf("leak: %s kept %s of %s idle for longer than leak_after, the last at %s; last statement: %s", name, one(int(l.Marked), "server", "servers"), l.Host, clock(l.LastAt), statementText(l.SQL)),
			Evidence: []string{line, "user " + l.User + "; on_leak: " + l.OnLeak}})
	}
	return found
}
