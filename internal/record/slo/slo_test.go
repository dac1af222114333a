package slo

import (
	"math"
	"testing"
	"time"
)

// month is the objective of the reports: 99.9 % of 30 days.
func month() Objective { return Objective{Target: 0.999, Window: 30 * 24 * time.Hour} }

// at is a time of the day of an incident.
func at(t *testing.T, clock string) time.Time {
	t.Helper()
	parsed, err := time.Parse("2006-01-02 15:04", "2025-10-14 "+clock)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// close reports whether two numbers are the same to so many digits after the point.
func near(got, want float64, digits int) bool {
	return math.Abs(got-want) < 0.5*math.Pow10(-digits)+1e-9
}

// TestTheReports is the arithmetic of the four incident reports. The figures
// are those that the reports state, or that follow from their timelines.
func TestTheReports(t *testing.T) {
	o := month()
	for _, c := range []struct {
		name      string
		got, want float64
		digits    int
	}{
		{"99.9 % of 30 days leave minutes", o.BudgetMinutes(), 43.2, 6},
		// 2025-10-14: all of 03:15–03:33, half of 03:33–03:36; reported as 45 %.
		{"2025-10-14 weighted minutes", outage(t), 19.5, 6},
		{"2025-10-14 budget used, percent", 100 * o.UsedByTime(outage(t)), 45.1, 1},
		{"2025-10-14 plain 23 minutes, percent", 100 * o.UsedByTime(23), 53, 0},
		// Both incidents of 002 lose the same a minute: by declared minutes, not users.
		{"2025-10-14 a minute", Rate(4500, 23), 195.65, 2},
		{"2025-09-05 a minute", Rate(18000, 92), 195.65, 2},
		{"2025-10-14 lost", (&Revenue{PerMinute: 4500.0 / 23}).Lost(at(t, "03:15"), at(t, "03:38")), 4500, 2},
		// 2025-09-05: 85 % of users for 92 minutes; the reported 70 % fit 30.2 minutes.
		{"2025-09-05 budget used, percent", 100 * o.UsedByTime(92*0.85), 181, 0},
		{"2025-09-05 minutes that are 70 percent", 0.70 * o.BudgetMinutes(), 30.2, 1},
		{"2025-09-05 those end after minutes", 0.70 * o.BudgetMinutes() / 0.85, 35.6, 1}, // ≈ 10:20
		{"2025-09-05 active users", ActiveUsers(8500, 0.85), 10000, 0},
		// 001 says 23 minutes: from the job's start. Two other clocks are as true.
		{"001 from job start", at(t, "03:23").Sub(at(t, "03:00")).Minutes(), 23, 6},
		{"001 from first alert", at(t, "03:23").Sub(at(t, "03:10")).Minutes(), 13, 6},
		{"001 from first user error", at(t, "03:23").Sub(at(t, "03:12")).Minutes(), 11, 6},
		// 003 says 4 hours, 14:30 to 18:30; full restore was at 17:00.
		{"003 declared hours", at(t, "18:30").Sub(at(t, "14:30")).Hours(), 4, 6},
		{"003 hours to full restore", at(t, "17:00").Sub(at(t, "14:30")).Hours(), 2.5, 6},
		// 000: 10k every 30 s from 03:50 is 200k at 04:00; its log says 500k.
		{"000 rows by the script", 10_000 * at(t, "04:00").Sub(at(t, "03:50")).Seconds() / 30, 200_000, 6},
	} {
		if !near(c.got, c.want, c.digits) {
			t.Errorf("%s: %v, not %v", c.name, c.got, c.want)
		}
	}
}

func outage(t *testing.T) float64 {
	return WeightedMinutes([]Segment{
		{From: at(t, "03:15"), To: at(t, "03:33"), Affected: 1},
		{From: at(t, "03:33"), To: at(t, "03:36"), Affected: 0.5},
	})
}

// TestMeasuredPace: the rate and the end are those measured, 500k in 10 minutes,
// not those of the script's arithmetic.
func TestMeasuredPace(t *testing.T) {
	perMinute, rest := Pace(500_000, 47_500_000, 10*time.Minute)
	if perMinute != 50_000 || rest != 950*time.Minute {
		t.Errorf("%v a minute, %v left", perMinute, rest)
	}
	if _, rest := Pace(0, 1, 0); rest != 0 {
		t.Errorf("without a pace %v are left", rest)
	}
}

func TestAlarms(t *testing.T) {
	want := []float64{14.4, 6, 3, 1}
	for i, a := range month().Alarms() {
		if !near(a.Factor, want[i], 6) {
			t.Errorf("alarm %d has the factor %v", i, a.Factor)
		}
	}
}

func TestBurn(t *testing.T) {
	o := month()
	if burn := o.BurnRate(0.0144); !near(burn, 14.4, 6) {
		t.Errorf("burn rate %v", burn)
	}
	if left, ok := o.Exhaustion(1, 14.4); !ok || !near(left.Hours(), 50, 6) {
		t.Errorf("exhausted in %v", left)
	}
	if left, ok := o.Exhaustion(-1, 1); !ok || left != 0 {
		t.Errorf("a budget that is used up lasts %v", left)
	}
	if _, ok := o.Exhaustion(1, 0); ok {
		t.Error("a budget that is not used is exhausted")
	}
	if used := o.UsedByEvents(451, 1_000_000); !near(used, 0.451, 6) {
		t.Errorf("used %v", used)
	}
	if used := o.UsedByEvents(1, 0); used != 0 {
		t.Errorf("of no events %v is used", used)
	}
}

func TestRevenueByHours(t *testing.T) {
	day, err := ParseHours("mon-fri 08:00-18:00 300")
	if err != nil {
		t.Fatal(err)
	}
	r := Revenue{PerMinute: 100, Hours: []Hours{day}}
	// 2025-10-14 is a Tuesday.
	if lost := r.Lost(at(t, "07:50"), at(t, "08:10")); !near(lost, 10*100+10*300, 6) {
		t.Errorf("lost %v", lost)
	}
	if lost := r.Lost(at(t, "08:10"), at(t, "08:00")); lost != 0 {
		t.Errorf("backwards %v are lost", lost)
	}
	if lost := r.Lost(at(t, "07:59").Add(30*time.Second), at(t, "08:00").Add(30*time.Second)); !near(lost, 200, 6) {
		t.Errorf("over the edge %v are lost", lost)
	}
	weekend, err := ParseHours("sat-mon 00:00-24:00 7")
	if err != nil || !weekend.on(time.Sunday) || weekend.on(time.Tuesday) {
		t.Errorf("sat-mon is %+v, %v", weekend, err)
	}
	for _, bad := range []string{"", "mon", "mon-fri 8-18 3", "mon 18:00-08:00 3", "mon 08:00-18:00 -1", "mon 08:00-18:00 NaN", "fun 08:00-18:00 3", "mon 08:00 1"} {
		if _, err := ParseHours(bad); err == nil {
			t.Errorf("%q is taken for hours", bad)
		}
	}
}
