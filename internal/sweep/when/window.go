package when

import (
	"fmt"
	"strings"
	"time"
)

// Window is a part of the day, such as 22:00-06:00; it may pass midnight. The
// zero value is the whole day.
type Window struct {
	From, To time.Duration // since midnight, on the wall clock; equal: the whole day
	Zone     *time.Location
}

// ParseWindow reads "22:00-06:00"; "" is the whole day. A nil zone is UTC.
func ParseWindow(text string, zone *time.Location) (Window, error) {
	if zone == nil {
		zone = time.UTC
	}
	if text == "" {
		return Window{Zone: zone}, nil
	}
	from, to, ok := strings.Cut(text, "-")
	w := Window{Zone: zone}
	var err error
	if !ok {
		return w, fmt.Errorf("window %q is not FROM-TO, such as 22:00-06:00", text)
	}
	if w.From, err = clock(from); err != nil {
		return w, err
	}
	if w.To, err = clock(to); err != nil {
		return w, err
	}
	if w.From == w.To {
		return w, fmt.Errorf("window %q begins and ends at the same time", text)
	}
	return w, nil
}

func clock(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if text == "24:00" {
		return 24 * time.Hour, nil
	}
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time of day, such as 22:00", text)
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, nil
}

// String is what ParseWindow reads.
func (w Window) String() string {
	if w.From == w.To {
		return ""
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", int(w.From.Hours()), int(w.From.Minutes())%60, int(w.To.Hours()), int(w.To.Minutes())%60)
}

// Open says whether the window is open at that time.
func (w Window) Open(at time.Time) bool {
	if w.From == w.To {
		return true
	}
	at = at.In(w.zone())
	since := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second + time.Duration(at.Nanosecond())
	if w.From < w.To {
		return w.From <= since && since < w.To
	}
	return since >= w.From || since < w.To
}

// Opens is when the window next opens, at itself when it is open.
func (w Window) Opens(at time.Time) time.Time {
	if w.Open(at) {
		return at
	}
	at = at.In(w.zone())
	for day := range 3 {
		// time.Date moves a time of day that a change of clocks leaves out.
		next := time.Date(at.Year(), at.Month(), at.Day()+day, int(w.From.Hours()), int(w.From.Minutes())%60, 0, 0, w.zone())
		if next.After(at) {
			return next
		}
	}
	return at.Add(24 * time.Hour)
}

// Share is the part of the day the window is open.
func (w Window) Share() float64 {
	if w.From == w.To {
		return 1
	}
	open := w.To - w.From
	if open < 0 {
		open += 24 * time.Hour
	}
	return open.Hours() / 24
}

func (w Window) zone() *time.Location {
	if w.Zone == nil {
		return time.UTC
	}
	return w.Zone
}
