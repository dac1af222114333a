package slo

import (
	"math"
	"time"
)

// Objective is what is promised: the part of events that must be good, over a
// window.
type Objective struct {
	Target float64 // 0.999
	Window time.Duration
}

// allowed is the part of events that may be bad.
func (o Objective) allowed() float64 { return 1 - o.Target }

// BudgetMinutes is how many minutes of the window may be wholly bad: (1 − SLO) ×
// window. 99.9 % of 30 days leave 43.2.
func (o Objective) BudgetMinutes() float64 { return o.allowed() * o.Window.Minutes() }

// UsedByTime is the part of the budget that so many wholly bad minutes use up.
func (o Objective) UsedByTime(badMinutes float64) float64 {
	return ratio(badMinutes, o.BudgetMinutes())
}

// UsedByEvents is the part of the budget that bad events use up, of the valid
// events of a whole window.
func (o Objective) UsedByEvents(bad, valid float64) float64 {
	return ratio(bad, o.allowed()*valid)
}

// BurnRate is how much faster than allowed the budget goes at a ratio of bad
// events: 1 uses it up exactly in the window.
func (o Objective) BurnRate(badRatio float64) float64 { return ratio(badRatio, o.allowed()) }

// Exhaustion is when the budget is used up, from now: the remaining part of it ×
// window / burn rate. ok is false when it never is.
func (o Objective) Exhaustion(remaining, burn float64) (left time.Duration, ok bool) {
	if burn <= 0 {
		return 0, false
	}
	return time.Duration(max(remaining, 0) * float64(o.Window) / burn), true
}

func ratio(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return part / whole
}

// Segment is a stretch of time with the part of what was asked that went wrong.
type Segment struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Affected float64   `json:"affected"` // 0 to 1
}

// WeightedMinutes is Σ minutes × affected part.
func WeightedMinutes(segments []Segment) float64 {
	sum := 0.0
	for _, s := range segments {
		sum += max(s.To.Sub(s.From).Minutes(), 0) * min(max(s.Affected, 0), 1)
	}
	return sum
}

// FewEvents is below how many events of a window a ratio says nothing.
const FewEvents = 100

// Alarm is a rule over two windows: it fires when the burn rate is above Factor
// in both.
type Alarm struct {
	Share       float64       // of the budget, used up when Factor lasts for Long
	Long, Short time.Duration // windows
	Factor      float64       // Share × objective's window / Long
	Page        bool          // else a ticket
}

// Alarms are the four rules over two windows each, of Google's SRE workbook: 2, 5,
// 10 and 10 % of the budget. Over 30 days their factors are 14.4, 6, 3 and 1.
func (o Objective) Alarms() []Alarm {
	alarms := []Alarm{
		{Share: 0.02, Long: time.Hour, Short: 5 * time.Minute, Page: true},
		{Share: 0.05, Long: 6 * time.Hour, Short: 30 * time.Minute, Page: true},
		{Share: 0.10, Long: 24 * time.Hour, Short: 2 * time.Hour},
		{Share: 0.10, Long: 72 * time.Hour, Short: 6 * time.Hour},
	}
	for i := range alarms {
		alarms[i].Factor = alarms[i].Share * float64(o.Window) / float64(alarms[i].Long)
	}
	return alarms
}

// ActiveUsers is how many users there were when so many are a part of them.
func ActiveUsers(affected, part float64) float64 { return math.Round(ratio(affected, part)) }

// Pace is how fast something goes: things a minute, and how long the rest takes.
func Pace(done, left float64, took time.Duration) (perMinute float64, rest time.Duration) {
	perMinute = ratio(done, took.Minutes())
	return perMinute, time.Duration(ratio(left, perMinute) * float64(time.Minute))
}
