package slo

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Revenue says what a minute of outage costs.
type Revenue struct {
	PerMinute float64
	Currency  string
	Hours     []Hours // where they differ from PerMinute; the first that fits holds
}

// Hours is a part of the week with a rate of its own, in UTC.
type Hours struct {
	From, To  time.Weekday // both included; To before From goes over Sunday
	Begin     int          // minute of the day
	End       int          // minute of the day, up to 1440; not included
	PerMinute float64
}

// longestLoss bounds what a loss is computed over, minute by minute.
const longestLoss = 31 * 24 * time.Hour

// Lost is Σ minutes × rate from one time to another, at most 31 days later.
func (r *Revenue) Lost(from, to time.Time) float64 {
	to = minTime(to, from.Add(longestLoss))
	if !to.After(from) {
		return 0
	}
	if len(r.Hours) == 0 {
		return to.Sub(from).Minutes() * r.PerMinute
	}
	sum := 0.0
	for at := from; at.Before(to); {
		next := minTime(at.Truncate(time.Minute).Add(time.Minute), to)
		sum += next.Sub(at).Minutes() * r.rate(at)
		at = next
	}
	return sum
}

// Rate is the rate of a loss: what was lost in so many minutes.
func Rate(lost, minutes float64) float64 { return ratio(lost, minutes) }

func (r *Revenue) rate(at time.Time) float64 {
	at = at.UTC()
	minute := at.Hour()*60 + at.Minute()
	for _, h := range r.Hours {
		if minute >= h.Begin && minute < h.End && h.on(at.Weekday()) {
			return h.PerMinute
		}
	}
	return r.PerMinute
}

func (h *Hours) on(day time.Weekday) bool {
	if h.From <= h.To {
		return day >= h.From && day <= h.To
	}
	return day >= h.From || day <= h.To
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// ParseHours reads "mon-fri 08:00-18:00 300": days, hours of UTC, rate a minute.
func ParseHours(text string) (Hours, error) {
	var h Hours
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return h, fmt.Errorf("%q is not days, hours and a rate", text)
	}
	from, to, found := strings.Cut(fields[0], "-")
	if !found {
		to = from
	}
	begin, end, found := strings.Cut(fields[1], "-")
	var ok [4]bool
	h.From, ok[0] = day(from)
	h.To, ok[1] = day(to)
	h.Begin, ok[2] = minuteOf(begin)
	h.End, ok[3] = minuteOf(end)
	rate, err := strconv.ParseFloat(fields[2], 64)
	h.PerMinute = rate
	switch {
	case !ok[0] || !ok[1]:
		return h, fmt.Errorf("%q are not days such as mon-fri", fields[0])
	case !found || !ok[2] || !ok[3] || h.Begin >= h.End:
		return h, fmt.Errorf("%q are not hours such as 08:00-18:00", fields[1])
	case err != nil || !(rate >= 0 && rate < 1e12):
		return h, fmt.Errorf("%q is not a rate a minute", fields[2])
	}
	return h, nil
}

func day(text string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(text, d.String()[:3]) {
			return d, true
		}
	}
	return 0, false
}

func minuteOf(text string) (int, bool) {
	if text == "24:00" {
		return 24 * 60, true
	}
	at, err := time.Parse("15:04", text)
	return at.Hour()*60 + at.Minute(), err == nil
}
