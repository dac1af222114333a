package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"spillway/internal/record/incident"
	"spillway/internal/record/slo"
)

// Impact is what an incident did.
type Impact struct {
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Ongoing bool      `json:"ongoing,omitempty"`

	Measured  bool    `json:"measured"` // there are points of the time
	Failed    uint64  `json:"failed"`
	Slow      uint64  `json:"slow"`
	Valid     uint64  `json:"valid"`
	Loads     []Load  `json:"workloads,omitempty"`
	P95Before float64 `json:"p95_before_seconds,omitempty"`
	P95Peak   float64 `json:"p95_peak_seconds,omitempty"`
	P95After  float64 `json:"p95_after_seconds,omitempty"`
	Upstreams []Peak  `json:"upstreams,omitempty"`
	Waiting   int     `json:"peak_waiting,omitempty"`

	SLI     string   `json:"sli"`
	Budgets []Figure `json:"budgets,omitempty"`
	Users   []Figure `json:"users,omitempty"`
	Revenue []Figure `json:"revenue,omitempty"`
}

// Load is a workload's part of the impact.
type Load struct {
	Workload string  `json:"workload"`
	Failed   uint64  `json:"failed"`
	Slow     uint64  `json:"slow"`
	Valid    uint64  `json:"valid"`
	InUse    int     `json:"peak_in_use"`
	Waiting  int     `json:"peak_waiting"`
	P95Peak  float64 `json:"p95_peak_seconds"`
}

// Peak is how full an upstream was.
type Peak struct {
	Upstream string    `json:"upstream"`
	Used     int       `json:"used"`
	Usable   int       `json:"usable"`
	At       time.Time `json:"at"`
}

// Figure is a number with what it rests on.
type Figure struct {
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Formula  string  `json:"formula"`
	Estimate bool    `json:"estimate"`
}

// afterFor is how long after the restoring the state after it is measured.
const afterFor = 5 * time.Minute

// beforeFor is how long before its beginning the state before it is measured.
const beforeFor = 15 * time.Minute

func impact(i *incident.Incident, c *Config) Impact {
	m := Impact{From: i.At(incident.ImpactStart), To: i.At(incident.AllRestored)}
	if m.To.IsZero() {
		m.To, m.Ongoing = c.Now.UTC(), true
	}
	m.SLI = fmt.Sprintf("good: a transaction that got its server within %s and met no error of Spillway; errors of the client's own do not count, deliberate sheds count as bad; objective %g %% over %s",
		c.Slow, 100*c.Objective.Target, days(c.Objective.Window))
	count(&m, i.Points)
	segments := m.weigh(i)
	m.budget(i, c, segments)
	m.users(i, c, segments)
	m.revenue(i, c, segments)
	return m
}

// count sums the points up.
func count(m *Impact, points []incident.Point) {
	loads := map[string]*Load{}
	peaks := map[string]*Peak{}
	var beforeSum, beforeN, afterSum, afterN float64
	for n := range points {
		p := &points[n]
		worst := p95(p)
		switch {
		case !p.At.After(m.From):
			if worst > 0 && m.From.Sub(p.At) <= beforeFor {
				beforeSum, beforeN = beforeSum+worst, beforeN+1
			}
			continue
		case !p.At.Add(-time.Duration(p.Seconds * float64(time.Second))).Before(m.To):
			if worst > 0 && p.At.Sub(m.To) <= afterFor {
				afterSum, afterN = afterSum+worst, afterN+1
			}
			continue
		}
		m.Measured = true
		m.P95Peak = max(m.P95Peak, worst)
		m.addLoads(p, loads)
		addPeaks(p, peaks, m)
	}
	if beforeN > 0 {
		m.P95Before = beforeSum / beforeN
	}
	if afterN > 0 {
		m.P95After = afterSum / afterN
	}
	for _, l := range loads {
		m.Loads = append(m.Loads, *l)
	}
	slices.SortFunc(m.Loads, func(a, b Load) int {
		if d := int64(b.Failed+b.Slow) - int64(a.Failed+a.Slow); d != 0 {
			return int(max(min(d, 1), -1))
		}
		return strings.Compare(a.Workload, b.Workload)
	})
	for _, p := range peaks {
		m.Upstreams = append(m.Upstreams, *p)
	}
	slices.SortFunc(m.Upstreams, func(a, b Peak) int { return strings.Compare(a.Upstream, b.Upstream) })
}

// p95 is the worst workload's of a point.
func p95(p *incident.Point) float64 {
	worst := 0.0
	for n := range p.Loads {
		worst = max(worst, p.Loads[n].P95)
	}
	return worst
}

func (m *Impact) addLoads(p *incident.Point, loads map[string]*Load) {
	for _, l := range p.Loads {
		to := loads[l.Workload]
		if to == nil {
			to = &Load{Workload: l.Workload}
			loads[l.Workload] = to
		}
		valid := l.Good + l.Slow + l.Failed
		to.Failed, to.Slow, to.Valid = to.Failed+l.Failed, to.Slow+l.Slow, to.Valid+valid
		to.InUse, to.Waiting, to.P95Peak = max(to.InUse, l.InUse), max(to.Waiting, l.Waiting), max(to.P95Peak, l.P95)
		m.Failed, m.Slow, m.Valid = m.Failed+l.Failed, m.Slow+l.Slow, m.Valid+valid
	}
}

func addPeaks(p *incident.Point, peaks map[string]*Peak, m *Impact) {
	waiting := 0
	for _, u := range p.Upstreams {
		waiting += u.Waiting
		if have := peaks[u.Upstream]; have == nil || u.Used > have.Used {
			peaks[u.Upstream] = &Peak{u.Upstream, u.Used, u.Usable, p.At}
		}
	}
	m.Waiting = max(m.Waiting, waiting)
}

// weigh is the affected part of each stretch of the impact: as declared, or else
// as measured.
func (m *Impact) weigh(i *incident.Incident) []slo.Segment {
	if len(i.Segments) > 0 {
		return i.Segments
	}
	var segments []slo.Segment
	for n := range i.Points {
		p := &i.Points[n]
		from := p.At.Add(-time.Duration(p.Seconds * float64(time.Second)))
		bad, valid := p.Bad()
		if bad == 0 || !p.At.After(m.From) || from.After(m.To) {
			continue
		}
		segments = append(segments, slo.Segment{From: from, To: p.At, Affected: float64(bad) / float64(valid)})
	}
	return segments
}

// fromDeclared says what a weight rests on.
func fromDeclared(i *incident.Incident) (text string, estimate bool) {
	if len(i.Segments) > 0 {
		return "declared", true
	}
	return "measured", false
}

// budget is the part of the error budget that is gone, by all the ways to count
// it that there is ground for.
func (m *Impact) budget(i *incident.Incident, c *Config, segments []slo.Segment) {
	o := c.Objective
	whole := o.BudgetMinutes()
	source, estimate := fromDeclared(i)
	if len(segments) > 0 {
		weighted := slo.WeightedMinutes(segments)
		m.Budgets = append(m.Budgets, Figure{
			Name: "error budget used, weighted by time", Value: 100 * o.UsedByTime(weighted), Unit: "%", Estimate: estimate,
			Formula: fmt.Sprintf("Σ minutes × affected part (%s) = %s min; of (1 − %g %%) × %s = %s min", source, number(weighted), 100*o.Target, days(o.Window), number(whole)),
		})
	}
	if m.Measured && m.Valid > 0 {
		m.Budgets = append(m.Budgets, m.byEvents(i, o))
	}
	if end := m.end(i); !m.From.IsZero() && end.After(m.From) {
		minutes := end.Sub(m.From).Minutes()
		m.Budgets = append(m.Budgets, Figure{
			Name: "error budget used, were all of its minutes wholly bad", Value: 100 * o.UsedByTime(minutes), Unit: "%", Estimate: true,
			Formula: fmt.Sprintf("%s min from impact start to %s, of %s min", number(minutes), m.endName(i), number(whole)),
		})
	}
}

// byEvents weighs by events: the default of the field. How many are valid in a
// whole window is an estimate from the rate before.
func (m *Impact) byEvents(i *incident.Incident, o slo.Objective) Figure {
	bad := float64(m.Failed + m.Slow)
	rate, from := usualRate(i.Points, m.From)
	if rate == 0 {
		rate, from = float64(m.Valid)/m.To.Sub(m.From).Seconds(), "during the incident"
	}
	valid := rate * o.Window.Seconds()
	f := Figure{Name: "error budget used, weighted by events", Value: 100 * o.UsedByEvents(bad, valid), Unit: "%", Estimate: true}
	f.Formula = fmt.Sprintf("%d bad of (1 − %g %%) × %s valid transactions in %s, at %s/s %s", m.Failed+m.Slow, 100*o.Target, number(valid), days(o.Window), number(rate), from)
	if m.Valid < slo.FewEvents {
		f.Formula += fmt.Sprintf("; too few events (%d) for a ratio: go by the minutes", m.Valid)
	}
	return f
}

// usualRate is how many transactions a second there were before.
func usualRate(points []incident.Point, before time.Time) (float64, string) {
	count, seconds := 0.0, 0.0
	for n := range points {
		if p := &points[n]; !p.At.After(before) {
			_, valid := p.Bad()
			count, seconds = count+float64(valid), seconds+p.Seconds
		}
	}
	if seconds == 0 {
		return 0, ""
	}
	return count / seconds, fmt.Sprintf("in the %s before", (time.Duration(seconds) * time.Second).String())
}

// end is until when an incident is declared: resolved, or else restored.
func (m *Impact) end(i *incident.Incident) time.Time {
	if end := i.At(incident.AtResolved); !end.IsZero() {
		return end
	}
	return m.To
}

func (m *Impact) endName(i *incident.Incident) string {
	switch {
	case !i.At(incident.AtResolved).IsZero():
		return "resolved"
	case m.Ongoing:
		return "now"
	}
	return "restored"
}

// users is how many people noticed.
func (m *Impact) users(i *incident.Incident, c *Config, segments []slo.Segment) {
	if u := i.Users; u != nil {
		if u.Affected > 0 {
			m.Users = append(m.Users, Figure{Name: "users affected", Value: u.Affected, Unit: "users", Estimate: true, Formula: "declared by " + u.Who})
		}
		if u.Active > 0 && u.Affected > 0 {
			m.Users = append(m.Users, Figure{Name: "part of the active users", Value: 100 * u.Affected / u.Active, Unit: "%", Estimate: true, Formula: "affected / active, as declared"})
		}
		return
	}
	peak := 0.0
	for _, s := range segments {
		peak = max(peak, s.Affected)
	}
	if c.Active > 0 && peak > 0 {
		m.Users = append(m.Users, Figure{Name: "users affected", Value: peak * c.Active, Unit: "users", Estimate: true,
			Formula: fmt.Sprintf("largest affected part %.1f %% × %.0f active users (record.active_users)", 100*peak, c.Active)})
	}
	principals := 0
	for n := range i.Points {
		if p := &i.Points[n]; p.At.After(m.From) && !p.At.After(m.To) {
			principals = max(principals, p.Principals)
		}
	}
	if principals > 0 {
		m.Users = append(m.Users, Figure{Name: "distinct database users connected", Value: float64(principals), Unit: "principals",
			Formula: "most at once of the users that Spillway's clients log in as"})
	}
}

// revenue is what it cost, where a rate is configured.
func (m *Impact) revenue(i *incident.Incident, c *Config, segments []slo.Segment) {
	r := c.Revenue
	if r.PerMinute == 0 && len(r.Hours) == 0 || m.From.IsZero() {
		return
	}
	end := m.end(i)
	rate := fmt.Sprintf("%s %s a minute", number(r.PerMinute), r.Currency)
	if len(r.Hours) > 0 {
		rate = "the rate of each hour of the week"
	}
	m.Revenue = append(m.Revenue, Figure{Name: "revenue lost", Value: r.Lost(m.From, end), Unit: r.Currency, Estimate: true,
		Formula: fmt.Sprintf("%s min from impact start to %s × %s", number(end.Sub(m.From).Minutes()), m.endName(i), rate)})
	if len(segments) > 0 {
		weighted := 0.0
		for _, s := range segments {
			weighted += s.Affected * r.Lost(s.From, s.To)
		}
		m.Revenue = append(m.Revenue, Figure{Name: "revenue lost, weighted by the affected part", Value: weighted, Unit: r.Currency, Estimate: true,
			Formula: fmt.Sprintf("%s weighted min × %s", number(slo.WeightedMinutes(segments)), rate)})
	}
}

// days shows a window.
func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
	return d.String()
}

// number shows at most two digits after the point, and none of what is large.
func number(v float64) string {
	if v >= 100_000 {
		return fmt.Sprintf("%.0f", v)
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}
