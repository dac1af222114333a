package incident

import (
	"slices"
	"strings"
	"time"
)

// Clock is a moment of an incident by its name.
type Clock string

// Clocks, in the order in which they usually come.
const (
	ImpactStart  Clock = "impact-start"
	Alert        Clock = "alert"
	Acknowledged Clock = "acknowledged"
	WasEscalated Clock = "escalated"
	CauseKnown   Clock = "cause-known"
	Decision     Clock = "decision"
	FirstAction  Clock = "first-action"
	Partial      Clock = "partial"
	AllRestored  Clock = "restored"
	AtResolved   Clock = "resolved"
	AtStable     Clock = "stable"
)

// Clocks returns all names in their order.
func Clocks() []Clock {
	return []Clock{ImpactStart, Alert, Acknowledged, WasEscalated, CauseKnown, Decision, FirstAction, Partial, AllRestored, AtResolved, AtStable}
}

// ParseClock finds a clock by its name.
func ParseClock(name string) (Clock, bool) {
	c := Clock(strings.ReplaceAll(strings.ToLower(name), "_", "-"))
	return c, slices.Contains(Clocks(), c)
}

// Meaning says what a clock is, for the report.
func (c Clock) Meaning() string {
	return map[Clock]string{
		ImpactStart:  "since when the first finding held",
		Alert:        "the first finding was told, or a foreign alarm came",
		Acknowledged: "somebody took it",
		WasEscalated: "it was escalated",
		CauseKnown:   "who causes it was known",
		Decision:     "what to do was decided",
		FirstAction:  "the first action took effect",
		Partial:      "at most half of the peak went wrong",
		AllRestored:  "all findings had cleared",
		AtResolved:   "it was said to be over",
		AtStable:     "it had stayed so",
	}[c]
}

// Clocks returns the moments that are known, one of each, in Clocks' order. What
// a person has set goes before what events say.
func (i *Incident) Clocks() []Mark {
	var known []Mark
	for _, c := range Clocks() {
		if m, ok := i.Clock(c); ok {
			known = append(known, m)
		}
	}
	return known
}

// Clock returns one of the moments.
func (i *Incident) Clock(c Clock) (Mark, bool) {
	var found Mark
	ok := false
	for _, m := range i.Marks {
		// Of persons the last word holds, of events the first.
		if m.Clock == c && (!ok || m.Who != "") {
			found, ok = m, true
		}
	}
	if !ok && c == Partial {
		return i.halved()
	}
	return found, ok
}

// At is a clock's time, zero when it is not known.
func (i *Incident) At(c Clock) time.Time {
	m, _ := i.Clock(c)
	return m.At
}

// mark sets a clock by an event; the first one holds.
func (i *Incident) mark(m Mark) {
	for n := range i.Marks {
		if i.Marks[n].Clock == m.Clock && i.Marks[n].Who == "" && m.Who == "" {
			return
		}
	}
	i.Marks = append(i.Marks, m)
}

// unmark forgets what events said: the trouble is back.
func (i *Incident) unmark(clocks ...Clock) {
	i.Marks = slices.DeleteFunc(i.Marks, func(m Mark) bool { return slices.Contains(clocks, m.Clock) })
}

// halved is when the part that went wrong had fallen to half of its peak.
func (i *Incident) halved() (Mark, bool) {
	peak, at := 0.0, -1
	for n := range i.Points {
		if r := i.Points[n].ratio(); r > peak {
			peak, at = r, n
		}
	}
	if at < 0 {
		return Mark{}, false
	}
	for n := at + 1; n < len(i.Points); n++ {
		if p := &i.Points[n]; p.ratio() <= peak/2 {
			return Mark{Clock: Partial, At: p.At, How: "the part of transactions that went wrong fell to half of its peak"}, true
		}
	}
	return Mark{}, false
}

func (p *Point) ratio() float64 {
	bad, valid := p.Bad()
	if valid == 0 {
		return 0
	}
	return float64(bad) / float64(valid)
}

// Duration is the time between two clocks, by a name of the field.
type Duration struct {
	Name    string  `json:"name"` // TTD
	Meaning string  `json:"meaning"`
	From    Clock   `json:"from"`
	To      Clock   `json:"to"`
	Seconds float64 `json:"seconds"`
	Known   bool    `json:"known"`
}

// Durations are those the template asks for; unknown ones say so.
func (i *Incident) Durations() []Duration {
	all := []Duration{
		{Name: "TTD", Meaning: "to detect", From: ImpactStart, To: Alert},
		{Name: "TTA", Meaning: "to acknowledge", From: Alert, To: Acknowledged},
		{Name: "TTI", Meaning: "to identify the cause", From: Alert, To: CauseKnown},
		{Name: "TTM", Meaning: "to mitigate", From: ImpactStart, To: Partial},
		{Name: "TTR", Meaning: "to restore", From: ImpactStart, To: AllRestored},
		{Name: "declared", Meaning: "until it was said to be over", From: ImpactStart, To: AtResolved},
		{Name: "confirmed", Meaning: "until it was known to be stable", From: ImpactStart, To: AtStable},
	}
	for n := range all {
		d := &all[n]
		from, to := i.At(d.From), i.At(d.To)
		if d.To == Partial && to.IsZero() {
			d.To, to = AllRestored, i.At(AllRestored)
		}
		if d.Known = !from.IsZero() && !to.IsZero(); d.Known {
			d.Seconds = max(to.Sub(from).Seconds(), 0)
		}
	}
	return all
}
