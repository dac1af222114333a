package detect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"spillway/internal/sample"
)

// Change is something that was done lately: a reload, a limit, a deployment.
type Change struct {
	At   time.Time
	What string
}

// Verdict is everything in one sentence, with what it rests on.
type Verdict struct {
	At       time.Time
	Region   string
	Level    Level
	Sentence string
	Hosts    []HostVerdict
	RuledOut []string // what was looked at and is not the cause
	Unknown  []string // what could not be looked at
	Changes  []Change // latest first
	Findings []Finding
}

// HostVerdict is how one PostgreSQL server's slots stand.
type HostVerdict struct {
	Name       string
	State      string // ok, nearly full, full, down
	Busy       int
	Usable     int
	FullSince  time.Time // zero when it is not
	Waiting    int
	OldestWait time.Duration
	Groups     []*Group // who holds the slots, the largest first, at most five
	Forecast   *Forecast
}

// changesFor is how long a change counts as lately.
const changesFor = time.Hour

// Judge puts the last frame, the findings that stand and what changed into a
// verdict. findings are those of all rooms, the engine's own among them.
func (e *Engine) Judge(findings []Finding, changes []Change) Verdict {
	f := e.last
	if f == nil {
		return Verdict{Sentence: "nothing has been seen yet", Unknown: []string{"everything: the first second is not over"}}
	}
	findings = slices.Clone(findings)
	Sort(findings)
	v := Verdict{At: f.At, Region: f.Region, Findings: findings}
	if len(findings) > 0 {
		v.Level = findings[0].Level
	}
	if f.Proxy == nil {
		v.Unknown = append(v.Unknown, "the pooler: its event loops do not answer")
	} else {
		in := &Input{Frame: f, Bounds: &e.bounds, held: e.board.held, trends: &e.trends, marks: &e.marks}
		for i := range f.Proxy.Hosts {
			v.Hosts = append(v.Hosts, in.host(&f.Proxy.Hosts[i]))
		}
		slices.SortStableFunc(v.Hosts, func(a, b HostVerdict) int { return b.rank() - a.rank() })
	}
	for _, c := range changes {
		if f.At.Sub(c.At) <= changesFor {
			v.Changes = append(v.Changes, c)
		}
	}
	slices.SortStableFunc(v.Changes, func(a, b Change) int { return b.At.Compare(a.At) })
	e.ruleOut(&v)
	v.Sentence = v.sentence()
	return v
}

func (in *Input) host(h *sample.Host) HostVerdict {
	v := HostVerdict{Name: h.Name, State: "ok", Busy: h.Busy, Usable: h.Usable, Waiting: h.Waiting, OldestWait: h.OldestWait}
	if k := in.marks.hosts[h.Name]; k != nil {
		v.FullSince = k.fullSince
	}
	switch {
	case h.Down:
		v.State = "down"
	case h.Usable > 0 && h.Busy >= h.Usable:
		v.State = "full"
	case ratioOf(h) >= nearlyFull:
		v.State = "nearly full"
	}
	groups := groupsOf(in.Proxy, h.Name)
	v.Groups = groups[:min(len(groups), 5)]
	if f, ok := in.forecast(h); ok && ratioOf(h) >= in.Bounds.ForecastFrom && f.Full <= 4*in.Bounds.ForecastWarn {
		v.Forecast = &f
	}
	return v
}

// rank puts the host in the worst state first.
func (v *HostVerdict) rank() int {
	state := map[string]int{"down": 3, "full": 2, "nearly full": 1}[v.State]
	return state*1_000_000 + min(v.Waiting, 999_999)
}

// ruleOut tells what is not the cause, and what is not known.
func (e *Engine) ruleOut(v *Verdict) {
	f := e.last
	out := func(format string, args ...any) { v.RuledOut = append(v.RuledOut, fmt.Sprintf(format, args...)) }
	unknown := func(format string, args ...any) { v.Unknown = append(v.Unknown, fmt.Sprintf(format, args...)) }
	if f.Proxy != nil {
		now := e.marks.flow.now
		usual, ok := e.marks.flow.usual(f.At)
		switch {
		case !ok:
			unknown("whether traffic is normal: %.0f transactions a second, and less than an hour to compare it with", now)
		case now <= 1.5*usual+1:
			out("traffic is normal: %.0f transactions a second, %.0f in the hour before", now, usual)
		}
	}
	for i := range v.Hosts {
		h := &v.Hosts[i]
		switch up, when := answered(f, h.Name); {
		case h.State == "down":
		case up:
			out("database %s is up: it answered %s ago", h.Name, span(f.At.Sub(when)))
		default:
			unknown("whether database %s answers", h.Name)
		}
	}
	for host, p := range f.Postgres {
		if p != nil && p.Activity != nil && p.Activity.Blind {
			unknown("what other sessions of %s do: role %s is not a member of pg_monitor", host, p.Activity.Role)
		}
	}
	healthy := 0
	for _, t := range f.Targets {
		if t.Up {
			healthy++
		}
	}
	if n := len(f.Targets); n > 0 && healthy == n {
		out("targets are healthy: %d of %d", healthy, n)
	}
	if m := f.Machine; m != nil && m.CPU < 0.85 {
		out("this machine has room: CPU %s, memory %s free", percent(m.CPU), size(m.MemoryFree))
	}
}

// answered tells whether a server has answered one of ours lately.
func answered(f *sample.Frame, host string) (bool, time.Time) {
	var last time.Time
	for _, p := range f.Probes {
		if p.Server == host && p.Up && p.GoodAt.After(last) {
			last = p.GoodAt
		}
	}
	if f.Proxy != nil {
		if h := hostOf(f.Proxy, host); h != nil && !h.Down && h.AskedAt.After(last) {
			last = h.AskedAt
		}
	}
	return !last.IsZero() && f.At.Sub(last) < 30*time.Second, last
}

// sentence is the verdict: how full, since when, who waits, who holds most, what
// else was found, what was ruled out, what changed.
func (v *Verdict) sentence() string {
	var parts []string
	for i := range v.Hosts {
		h := &v.Hosts[i]
		if i == 0 || h.State != "ok" || h.Waiting > 0 {
			parts = append(parts, h.sentence(v.At, len(v.Hosts) > 1, v.Level == None))
		}
	}
	if f := v.cause(); f != nil {
		parts = append(parts, f.Summary)
		if more := len(v.Findings) - 1; more > 0 {
			parts = append(parts, one(more, "more finding", "more findings"))
		}
	} else {
		parts = append(parts, "nothing found")
	}
	if v.Level != None {
		var out []string
		for _, r := range v.RuledOut {
			short, _, _ := strings.Cut(r, ":")
			out = append(out, short)
		}
		if len(out) > 0 {
			parts = append(parts, "ruled out: "+strings.Join(out, ", "))
		}
		if len(v.Changes) > 0 {
			c := v.Changes[0]
			parts = append(parts, fmt.Sprintf("changed %s ago: %s", span(v.At.Sub(c.At)), c.What))
		}
	}
	return strings.TrimSpace(v.Region + " " + strings.Join(parts, " · "))
}

// cause is the finding that explains the others best: one that names a culprit
// goes before one that tells of an effect.
func (v *Verdict) cause() *Finding {
	var best *Finding
	for i := range v.Findings {
		f := &v.Findings[i]
		if best == nil || rankOf(f) > rankOf(best) {
			best = f
		}
	}
	return best
}

func rankOf(f *Finding) int {
	rank := map[string]int{"server": 9, "blocking": 8, "leak": 7, "storm": 6, "login": 5, "denied": 5, "long-transaction": 4, "long-statement": 3,
		"queue-wait": 1, "slots": 1, "slots-forecast": 2, "slo-burn": 0}
	n, known := rank[f.Detector]
	if !known {
		n = 2
	}
	if f.Level == Page && n > 2 {
		n += 10
	}
	return n
}

// sentence is the host's part. It does not say OK where something else was found.
func (v *HostVerdict) sentence(at time.Time, named, nothing bool) string {
	text := ""
	if named {
		text = v.Name + " "
	}
	state := strings.ToUpper(v.State)
	if v.State == "ok" && !nothing {
		state = "slots"
	}
	text += fmt.Sprintf("%s %d/%d", state, v.Busy, v.Usable)
	if !v.FullSince.IsZero() && v.State != "ok" {
		text += " for " + span(at.Sub(v.FullSince))
	}
	if v.Waiting > 0 {
		text += fmt.Sprintf(" · %d waiting, oldest %s", v.Waiting, span(v.OldestWait))
	}
	if len(v.Groups) > 0 && v.State != "down" && (v.State != "ok" || v.Busy*2 >= v.Usable || v.Waiting > 0) {
		text += fmt.Sprintf(" · %s held by %s", percent(v.Groups[0].Share), v.Groups[0].Name())
	}
	if v.Forecast != nil {
		text += " · full in about " + span(v.Forecast.Full.Round(30*time.Second))
	}
	return text
}
