package detect

import (
	"fmt"
	"slices"
	"time"

	"spillway/internal/sample"
)

// lookServer finds PostgreSQL servers that cannot be reached.
func lookServer(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	var found []Suspicion
	for i := range in.Proxy.Hosts {
		h := &in.Proxy.Hosts[i]
		if !h.Down {
			continue
		}
		s := Suspicion{Key: "server/" + h.Name, Level: Page, Upstream: h.Name,
			Summary: fmt.Sprintf("%s cannot be reached: new server connections fail (%s)", h.Name, h.DownReason)}
		if p := lastFailure(in.Proxy, h.Name); p != nil {
			s.Summary += ": " + p.LoginError
			s.Since = time.Time{}
			s.Evidence = append(s.Evidence, fmt.Sprintf("pool %s/%s at %s: %s", p.Database, p.User, clock(p.LoginErrorAt), p.LoginError))
		}
		s.Evidence = append(s.Evidence, fmt.Sprintf("address %s; %d connections are open, %d held, %s", orUnknown(h.Address), h.Open, h.Busy, one(h.Waiting, "client waits", "clients wait")))
		for _, probe := range in.Probes {
			if probe.Server == h.Name && !probe.Up && len(s.Evidence) < maxNames {
				s.Evidence = append(s.Evidence, fmt.Sprintf("probe %s fails too: %s", probe.Name, probe.Error))
			}
		}
		found = append(found, s)
	}
	return found
}

func orUnknown(address string) string {
	if address == "" {
		return "unknown"
	}
	return address
}

func lastFailure(p *sample.Proxy, host string) *sample.Pool {
	var last *sample.Pool
	for i := range p.Pools {
		if pool := &p.Pools[i]; pool.Host == host && pool.LoginError != "" && (last == nil || pool.LoginErrorAt.After(last.LoginErrorAt)) {
			last = pool
		}
	}
	return last
}

func isDown(in *Input, host string) bool {
	if in.Proxy == nil {
		return false
	}
	h := hostOf(in.Proxy, host)
	return h != nil && h.Down
}

// lookLogin finds users whose logins to a server fail: one finding for each
// user on a host, whatever number of databases it asks for. Where the whole
// server is down that says it all.
func lookLogin(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	byKey := map[string][]*sample.Pool{}
	for i := range in.Proxy.Pools {
		p := &in.Proxy.Pools[i]
		if p.LoginError == "" || in.At.Sub(p.LoginErrorAt) > in.Bounds.LoginQuiet || isDown(in, p.Host) {
			continue
		}
		key := "login/" + p.Host + "/" + p.User
		byKey[key] = append(byKey[key], p)
	}
	var found []Suspicion
	for key, pools := range byKey {
		slices.SortFunc(pools, func(a, b *sample.Pool) int { return b.LoginErrorAt.Compare(a.LoginErrorAt) })
		last := pools[0]
		s := Suspicion{Key: key, Level: Warn, Upstream: last.Host,
			Summary: fmt.Sprintf("logins of user %s to %s fail: %s", last.User, last.Host, last.LoginError)}
		waiting := 0
		for _, p := range pools {
			waiting += p.Waiting
			if len(s.Evidence) < maxNames {
				s.Evidence = append(s.Evidence, fmt.Sprintf("pool %s/%s: last failure at %s, %s", p.Database, p.User, clock(p.LoginErrorAt), one(p.Waiting, "client waits", "clients wait")))
			}
		}
		found = append(found, s)
	}
	slices.SortFunc(found, compareKeys)
	return found
}

// fuseFresh is how long a blown fuse stays a finding.
const fuseFresh = time.Minute

// lookLedger finds books that do not agree with the server's.
func lookLedger(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	var found []Suspicion
	for i := range in.Proxy.Hosts {
		h := &in.Proxy.Hosts[i]
		if h.Down {
			continue
		}
		drift := h.Missing + h.Lingering + abs(h.Stray)
		fused := false
		if k := in.marks.hosts[h.Name]; k != nil {
			fused = !k.fusedAt.IsZero() && in.At.Sub(k.fusedAt) < fuseFresh
		}
		if drift == 0 && !fused {
			continue
		}
		s := Suspicion{Key: "ledger/" + h.Name, Level: Warn, Upstream: h.Name}
		s.Summary = fmt.Sprintf("Spillway's books of %s do not agree with the server: %s", h.Name, one(drift, "connection", "connections"))
		if fused {
			s.Level = Page
			s.Summary = fmt.Sprintf("the fuse keeps Spillway from opening more connections to %s: more are open than its budget allows", h.Name)
		}
		s.Evidence = []string{
			fmt.Sprintf("%d we hold that the server does not know, %d that run on after we closed them, %d slots without a server", h.Missing, h.Lingering, h.Stray),
			fmt.Sprintf("mended since start: %d; connections not opened: %d; asked at %s", h.Mended, h.Fused, clock(h.AskedAt)),
		}
		found = append(found, s)
	}
	return found
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// lookProbes finds probes that cannot run. A server that is down is told by
// itself.
func lookProbes(in *Input) []Suspicion {
	byKey := map[string][]*sample.Probe{}
	for i := range in.Probes {
		p := &in.Probes[i]
		if p.Up || p.Tried.IsZero() || p.Server != "" && isDown(in, p.Server) {
			continue
		}
		key := "probe/" + p.Name
		if p.Server != "" {
			key = "probe/" + p.Server
		}
		byKey[key] = append(byKey[key], p)
	}
	var found []Suspicion
	for key, probes := range byKey {
		first := probes[0]
		s := Suspicion{Key: key, Level: Warn, Upstream: first.Server,
			Summary: fmt.Sprintf("probe %s cannot run: %s; its figures are withdrawn", first.Name, first.Error)}
		for _, p := range probes {
			good := "never worked"
			if !p.GoodAt.IsZero() {
				good = "last worked at " + clock(p.GoodAt)
			}
			if len(s.Evidence) < maxNames {
				s.Evidence = append(s.Evidence, fmt.Sprintf("%s: %s, %s, %d failures in a row", p.Name, p.Error, good, p.Failed))
			}
		}
		found = append(found, s)
	}
	slices.SortFunc(found, compareKeys)
	return found
}

// lookTargets finds targets that do not answer. A group of which less than
// half is healthy pages.
func lookTargets(in *Input) []Suspicion {
	type tally struct {
		all  int
		down []*sample.Target
	}
	groups := map[string]*tally{}
	for i := range in.Targets {
		t := &in.Targets[i]
		name := t.Group
		if name == "" {
			name = t.Name
		}
		g := groups[name]
		if g == nil {
			g = &tally{}
			groups[name] = g
		}
		g.all++
		if !t.Up && t.Failed >= in.Bounds.TargetFailures {
			g.down = append(g.down, t)
		}
	}
	var found []Suspicion
	for name, g := range groups {
		if len(g.down) == 0 {
			continue
		}
		slices.SortFunc(g.down, func(a, b *sample.Target) int { return a.Since.Compare(b.Since) })
		first := g.down[0]
		s := Suspicion{Key: "target/" + name, Level: Warn, Since: first.Since}
		if healthy := g.all - len(g.down); 2*healthy < g.all {
			s.Level = Page
		}
		s.Summary = fmt.Sprintf("%d of %s of %s unhealthy since %s: %s", len(g.down), one(g.all, "target", "targets"), name, clock(first.Since), first.Error)
		for _, t := range g.down[:min(len(g.down), maxNames)] {
			s.Evidence = append(s.Evidence, fmt.Sprintf("%s (%s): %s, %d checks in a row", t.Name, t.Address, t.Error, t.Failed))
		}
		found = append(found, s)
	}
	slices.SortFunc(found, compareKeys)
	return found
}
