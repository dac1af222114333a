package when

import (
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, text, zone string) time.Time {
	t.Helper()
	place, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	when, err := time.ParseInLocation("2006-01-02 15:04:05", text, place)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestWindow(t *testing.T) {
	tests := []struct {
		window, now string
		open        bool
		opens       string
	}{
		{"22:00-06:00", "2026-11-21 21:59:59", false, "2026-11-21 22:00:00"},
		{"22:00-06:00", "2026-11-21 22:00:00", true, "2026-11-21 22:00:00"},
		{"22:00-06:00", "2026-11-21 05:59:59", true, "2026-11-21 05:59:59"},
		{"22:00-06:00", "2026-11-21 06:00:00", false, "2026-11-21 22:00:00"},
		{"02:00-03:30", "2026-11-21 03:30:00", false, "2026-11-22 02:00:00"},
		{"02:00-24:00", "2026-11-21 23:59:59", true, "2026-11-21 23:59:59"},
		{"", "2026-11-21 23:59:59", true, "2026-11-21 23:59:59"},
		// 02:30 does not exist that night.
		{"02:30-03:30", "2026-03-29 00:00:00", false, "2026-03-29 03:30:00"},
	}
	for _, test := range tests {
		now := at(t, test.now, "Europe/Berlin")
		w, err := ParseWindow(test.window, now.Location())
		if err != nil {
			t.Fatal(err)
		}
		if w.String() != test.window {
			t.Errorf("%q prints as %q", test.window, w)
		}
		if w.Open(now) != test.open || !w.Opens(now).Equal(at(t, test.opens, "Europe/Berlin")) {
			t.Errorf("%s at %s: open %v, opens %s", test.window, test.now, w.Open(now), w.Opens(now))
		}
	}
	if w, _ := ParseWindow("22:00-06:00", nil); w.Share() != 8.0/24 {
		t.Errorf("share %v", w.Share())
	}
}

func TestWrongWindows(t *testing.T) {
	for _, text := range []string{"22", "22:00", "22:00-", "-", "25:00-01:00", "01:60-02:00", "03:00-03:00", "a-b", "1-2-3"} {
		if w, err := ParseWindow(text, nil); err == nil {
			t.Errorf("%q is %v", text, w)
		}
	}
}

func TestSchedule(t *testing.T) {
	tests := []struct{ expression, zone, now, next string }{
		{"*/10 * * * *", "UTC", "2026-11-21 05:51:07", "2026-11-21 06:00:00"},
		{"*/10 * * * *", "UTC", "2026-11-21 06:00:00", "2026-11-21 06:10:00"},
		{"30 2 * * *", "Europe/Berlin", "2026-11-21 03:00:00", "2026-11-22 02:30:00"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00", "2026-03-29 03:30:00"}, // clocks go forward
		{"30 2 * * *", "Europe/Berlin", "2026-10-25 02:30:00", "2026-10-26 02:30:00"}, // clocks go back
		{"@daily", "America/New_York", "2026-11-21 05:00:00", "2026-11-22 00:00:00"},
		{"0 3 * * 1-5", "UTC", "2026-11-21 05:00:00", "2026-11-23 03:00:00"},
		{"0 0 29 2 *", "UTC", "2026-11-21 05:00:00", "2028-02-29 00:00:00"},
	}
	for _, test := range tests {
		now := at(t, test.now, test.zone)
		s, err := ParseSchedule(test.expression, now.Location())
		if err != nil {
			t.Errorf("%s: %v", test.expression, err)
			continue
		}
		next, err := s.Next(now)
		if err != nil || !next.Equal(at(t, test.next, test.zone)) {
			t.Errorf("%s after %s: %s, %v; want %s", test.expression, test.now, next, err, test.next)
		}
	}
}

func TestWrongSchedules(t *testing.T) {
	for _, text := range []string{"", "*", "* * * *", "60 * * * *", "* * * * * *", "@never", "x * * * *", "0 0 31 2 *", strings.Repeat("1,", 500) + " * * * *"} {
		if _, err := ParseSchedule(text, nil); err == nil {
			t.Errorf("%.20q is a schedule", text)
		}
	}
}
