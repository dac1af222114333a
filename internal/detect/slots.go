package detect

import (
	"fmt"
	"time"

	"spillway/internal/sample"
)

// lookSlots finds hosts of which nearly every slot is held. It warns by the
// ratio alone; it pages only where clients wait for it.
func lookSlots(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	var found []Suspicion
	for i := range in.Proxy.Hosts {
		h := &in.Proxy.Hosts[i]
		key := "slots/" + h.Name
		ratio, begin := ratioOf(h), in.Bounds.SlotsWarn
		if in.held(key) != None {
			begin -= 0.05 // comes back down below where it went up
		}
		if h.Usable <= 0 || ratio < begin {
			continue
		}
		s := Suspicion{Key: key, Level: Warn, Upstream: h.Name}
		if ratio >= in.Bounds.SlotsPage && h.Waiting > 0 && h.OldestWait >= in.Bounds.WaitPage {
			s.Level = Page
		}
		s.Summary = fmt.Sprintf("%s: %d of %d slots are held", h.Name, h.Busy, h.Usable)
		if h.Waiting > 0 {
			s.Summary += fmt.Sprintf(", %s, the oldest for %s", one(h.Waiting, "client waits", "clients wait"), span(h.OldestWait))
		}
		groups := groupsOf(in.Proxy, h.Name)
		if len(groups) > 0 {
			s.Workload = groups[0].Workload
			s.Summary += fmt.Sprintf("; %s of them by %s", percent(groups[0].Share), groups[0].Name())
		}
		s.Evidence = append(holderLines(groups, in.At, 3), budgetLine(h))
		found = append(found, s)
	}
	return found
}

// holderLines are the largest groups, a line each.
func holderLines(groups []*Group, at time.Time, most int) []string {
	var lines []string
	for _, g := range groups[:min(len(groups), most)] {
		lines = append(lines, fmt.Sprintf("%s holds %s (%s), %d idle in a transaction, the longest for %s; users %s; mostly: %s",
			g.Name(), one(g.Holders, "slot", "slots"), percent(g.Share), g.Idle, span(at.Sub(g.OldestAt)), list(g.Users), statementText(g.SQL)))
	}
	return lines
}

// budgetLine is how the number of usable slots came about.
func budgetLine(h *sample.Host) string {
	if h.AskedAt.IsZero() {
		return fmt.Sprintf("%d slots are usable; the server was not asked for its max_connections yet", h.Usable)
	}
	return fmt.Sprintf("%d slots are usable: max_connections %d, %d reserved, %d connections that are not ours (asked at %s)",
		h.Usable, h.MaxConnections, h.Reserved, h.Foreign, clock(h.AskedAt))
}

// Forecast is when a host will be full.
type Forecast struct {
	Host               string
	PerMinute          float64 // slots; the smaller of the two slopes
	Short, Long        float64 // slots a minute over the last minute and the last five
	Full               time.Duration
	Workload           string // that grows most
	Application, Owner string
	GroupPerMinute     float64
}

// forecast foretells when a host is full: free slots ÷ slope, where the slope
// is Theil–Sen's over one minute and over five, and both must rise.
func (in *Input) forecast(h *sample.Host) (Forecast, bool) {
	if h.Usable <= 0 || h.Busy >= h.Usable {
		return Forecast{}, false
	}
	t := in.trends.of("busy/" + h.Name)
	short, okShort := t.slope(in.At, time.Minute)
	long, okLong := t.slope(in.At, 5*time.Minute)
	if !okShort || !okLong || short <= 0 || long <= 0 {
		return Forecast{}, false
	}
	least := min(short, long)
	f := Forecast{Host: h.Name, PerMinute: least * 60, Short: short * 60, Long: long * 60}
	f.Full = time.Duration(float64(h.Usable-h.Busy) / least * float64(time.Second))
	for _, g := range groupsOf(in.Proxy, h.Name) {
		if s, ok := in.trends.of(heldTrend(g.Host, g.Workload, g.Application)).slope(in.At, 5*time.Minute); ok && s*60 > f.GroupPerMinute {
			f.Workload, f.Application, f.Owner, f.GroupPerMinute = g.Workload, g.Application, g.Owner, s*60
		}
	}
	return f, true
}

// lookForecast finds hosts that will be full soon. A rise to where the host has
// been within the last day, and come back from by itself, is no news.
func lookForecast(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	var found []Suspicion
	for i := range in.Proxy.Hosts {
		h := &in.Proxy.Hosts[i]
		if ratioOf(h) < in.Bounds.ForecastFrom {
			continue
		}
		if k := in.marks.hosts[h.Name]; k != nil && ratioOf(h) <= k.learned(in.At)+0.05 {
			continue
		}
		f, ok := in.forecast(h)
		if !ok || f.Full > in.Bounds.ForecastWarn {
			continue
		}
		s := Suspicion{Key: "slots-forecast/" + h.Name, Level: Warn, Upstream: h.Name, Workload: f.Workload}
		if f.Full <= in.Bounds.ForecastPage {
			s.Level = Page
		}
		s.Summary = fmt.Sprintf("%s will be full in about %s: %d of %d slots are held, +%.1f a minute", h.Name, span(f.Full.Round(30*time.Second)), h.Busy, h.Usable, f.PerMinute)
		if f.GroupPerMinute > 0 {
			s.Summary += fmt.Sprintf(", most of it by %s", who(f.Application, f.Workload, f.Owner, nil))
		}
		s.Evidence = []string{
			fmt.Sprintf("slope over the last minute %+.1f, over five minutes %+.1f slots a minute; (%d − %d) ÷ %.1f = %.1f min", f.Short, f.Long, h.Usable, h.Busy, f.PerMinute, f.Full.Minutes()),
		}
		if f.GroupPerMinute > 0 {
			s.Evidence = append(s.Evidence, fmt.Sprintf("%s: %+.1f slots a minute", who(f.Application, f.Workload, f.Owner, nil), f.GroupPerMinute))
		}
		s.Evidence = append(s.Evidence, budgetLine(h))
		found = append(found, s)
	}
	return found
}

// lookQueue finds workloads, or hosts without workloads, whose clients wait.
func lookQueue(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	var found []Suspicion
	told := map[string]bool{}
	for i := range in.Proxy.Workloads {
		w := &in.Proxy.Workloads[i]
		if w.Name == "" || w.Waiting == 0 || w.Pause != "" {
			continue
		}
		told[w.Host] = true
		s, ok := in.waits("queue-wait/"+w.Host+"/"+w.Name, w.Waiting, w.OldestWait)
		if !ok {
			continue
		}
		if w.Class == "batch" {
			s.Level = Warn // batch work is meant to wait
		}
		s.Upstream, s.Workload = w.Host, w.Name
		s.Summary = fmt.Sprintf("workload %s waits for slots of %s: %s, the oldest for %s", w.Name, w.Host, one(w.Waiting, "client", "clients"), span(w.OldestWait))
		s.Evidence = append(s.Evidence, fmt.Sprintf("it has %d slots: share %d, limit %d, %d lent to others, %d borrowed; %d refused since start", w.InUse, w.Share, w.Limit, w.Lent, w.Borrowed, w.Shed))
		s.Evidence = append(s.Evidence, holderLines(groupsOf(in.Proxy, w.Host), in.At, 2)...)
		found = append(found, s)
	}
	for i := range in.Proxy.Hosts {
		h := &in.Proxy.Hosts[i]
		if told[h.Name] || h.Waiting == 0 || h.Down {
			continue
		}
		s, ok := in.waits("queue-wait/"+h.Name, h.Waiting, h.OldestWait)
		if !ok {
			continue
		}
		s.Upstream = h.Name
		s.Summary = fmt.Sprintf("%s for a server connection of %s, the oldest for %s", one(h.Waiting, "client waits", "clients wait"), h.Name, span(h.OldestWait))
		for j := range in.Proxy.Pools {
			if p := &in.Proxy.Pools[j]; p.Host == h.Name && p.Waiting > 0 && len(s.Evidence) < 3 {
				s.Evidence = append(s.Evidence, fmt.Sprintf("pool %s/%s: %d wait, the oldest for %s", p.Database, p.User, p.Waiting, span(p.OldestWait)))
			}
		}
		s.Evidence = append(s.Evidence, holderLines(groupsOf(in.Proxy, h.Name), in.At, 2)...)
		found = append(found, s)
	}
	return found
}

func (in *Input) waits(key string, waiting int, oldest time.Duration) (Suspicion, bool) {
	begin := in.Bounds.WaitWarn
	if in.held(key) != None {
		begin /= 2
	}
	if waiting == 0 || oldest < begin {
		return Suspicion{}, false
	}
	s := Suspicion{Key: key, Level: Warn, Since: in.At.Add(-oldest)}
	if oldest >= in.Bounds.WaitPage {
		s.Level = Page
	}
	return s, true
}
