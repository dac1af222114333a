package brake

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 21, 2, 15, 0, 0, time.UTC)

// looks runs a judge over some seconds of looks, four a second, each made by
// look from the seconds passed, and returns the last verdict.
func looks(j *Judge, from, to float64, look func(s float64, f *Facts)) (v Verdict) {
	for s := from; s <= to; s += 0.25 {
		f := Facts{At: start.Add(time.Duration(s * float64(time.Second))), MaxSessions: 100}
		look(s, &f)
		v = j.Judge(f)
	}
	return v
}

func TestEachBrake(t *testing.T) {
	tests := []struct {
		name  string
		look  func(f *Facts)
		level Level
		text  string
	}{
		{"nothing", func(*Facts) {}, Clear, ""},
		{"slot", func(f *Facts) { f.Slots = []Slot{{"audit", 2 << 30}} }, Soft, "slot retention: slot audit keeps 2.0 GiB"},
		{"slot, far behind", func(f *Facts) { f.Slots = []Slot{{"audit", 5 << 30}} }, Hard, "stop at 4.0 GiB"},
		{"archive", func(f *Facts) { f.Unarchived = 21 }, Soft, "21 WAL segments"},
		{"archive broken", func(f *Facts) { f.Unarchived = 42 }, Hard, "42 WAL segments"},
		{"xmin", func(f *Facts) { f.OldestXmin, f.OldestPID = 11*time.Minute, 7 }, Soft, "pid 7 has a transaction 11m0s old"},
		{"old xmin", func(f *Facts) { f.OldestXmin = 2 * time.Hour }, Hard, "stop at 1h0m0s"},
		{"lock", func(f *Facts) { f.LockedBy, f.LockMode = 9, "ShareLock" }, Hard, "pid 9 holds ShareLock"},
		{"someone waits for the table", func(f *Facts) { f.Queueing = 1 }, Hard, "1 sessions wait for a lock on the table"},
		{"someone waits for us", func(f *Facts) { f.Behind = 2 }, Soft, "2 sessions wait for rows the sweep holds"},
		{"lock waits", func(f *Facts) { f.LockWaits = 5 }, Soft, "5 sessions wait for locks"},
		{"autovacuum", func(f *Facts) { f.Vacuuming, f.Busy = true, 1 }, Soft, "a vacuum of the table runs"},
		{"autovacuum, and nobody else", func(f *Facts) { f.Vacuuming = true }, Clear, ""},
		{"wraparound", func(f *Facts) { f.Vacuuming, f.ToPrevent = true, true }, Hard, "to prevent wraparound"},
		{"connections", func(f *Facts) { f.Connections = 80 }, Soft, "80 of 100 connections"},
		{"no connections", func(f *Facts) { f.Connections = 90 }, Hard, "90 of 100 connections"},
		{"disk", func(f *Facts) { f.DiskKnown, f.DiskFree = true, 0.08 }, Soft, "8.0 %"},
		{"disk full", func(f *Facts) { f.DiskKnown, f.DiskFree = true, 0.01 }, Hard, "1.0 %"},
		{"queue", func(f *Facts) { f.Sight = &Sight{QueueWait: 12 * time.Millisecond} }, Soft, "waits for a server for 12ms"},
		{"long queue", func(f *Facts) { f.Sight = &Sight{QueueWait: 25 * time.Millisecond} }, Hard, "stop at 20ms"},
		{"slots", func(f *Facts) { f.Sight = &Sight{Used: 17, Usable: 20} }, Soft, "17 of 20 slots of the proxy"},
	}
	for _, test := range tests {
		v := looks(NewJudge(Defaults()), 0, 3, func(_ float64, f *Facts) { test.look(f) })
		if v.Level != test.level || !strings.Contains(v.String(), test.text) {
			t.Errorf("%s: %s %q", test.name, v.Level, v)
		}
	}
	var none Limits
	v := looks(NewJudge(none), 0, 3, func(_ float64, f *Facts) {
		f.Slots, f.OldestXmin, f.Connections = []Slot{{"audit", 1 << 40}}, time.Hour*100, 100
		f.Sight = &Sight{QueueWait: time.Hour, Used: 20, Usable: 20}
	})
	if v.Level != Clear {
		t.Errorf("brakes that are off: %s", v)
	}
}

// TestReplica: the lag of a replica that says nothing more grows all the same,
// and one that goes away is waited for, but not for ever.
func TestReplica(t *testing.T) {
	j := NewJudge(Defaults())
	writing := func(s float64) int64 { return int64(s * 1e6) }
	stuck := func(s float64, f *Facts) {
		f.WAL = writing(s)
		f.Replicas = []Replica{{"pg2", writing(min(s, 10))}}
	}
	if v := looks(j, 0, 10.5, stuck); v.Level != Clear {
		t.Errorf("half a second behind: %s", v)
	}
	if v := looks(j, 10.75, 12, stuck); v.Level != Soft || !strings.Contains(v.String(), "pg2 is") {
		t.Errorf("two seconds behind: %s", v)
	}
	if v := looks(j, 12.25, 16, stuck); v.Level != Hard {
		t.Errorf("six seconds behind: %s", v)
	}
	caught := func(s float64, f *Facts) {
		f.WAL = writing(s)
		f.Replicas = []Replica{{"pg2", f.WAL}}
	}
	if v := looks(j, 16.25, 17, caught); v.Level != Clear {
		t.Errorf("caught up: %s", v)
	}
	gone := func(s float64, f *Facts) { f.WAL = writing(s) }
	if v := looks(j, 17.25, 18, gone); v.Level != Hard || !strings.Contains(v.String(), "pg2 went away") {
		t.Errorf("gone: %s", v)
	}
	if v := looks(j, 18.25, 18+forgetReplica.Seconds(), gone); v.Level != Clear {
		t.Errorf("gone for good: %s", v)
	}
	idle := func(_ float64, f *Facts) { f.WAL, f.Replicas = 5e9, []Replica{{"pg3", 5e9}} }
	if v := looks(j, 2000, 2060, idle); v.Level != Clear {
		t.Errorf("nothing is written: %s", v)
	}
}

func TestWALRate(t *testing.T) {
	fast := func(archives bool) Verdict {
		return looks(NewJudge(Defaults()), 0, 4, func(s float64, f *Facts) { f.WAL, f.Archives = int64(s*100*(1<<20)), archives })
	}
	if v := fast(true); v.Level != Soft || !strings.Contains(v.String(), "100.0 MiB/s") {
		t.Errorf("with an archive: %s", v)
	}
	if v := fast(false); v.Level != Clear {
		t.Errorf("WAL that goes nowhere: %s", v)
	}
}

// TestLoad: a tripled load pulls within a second and lets go when it ends; one
// that stays is what is usual after a while.
func TestLoad(t *testing.T) {
	j := NewJudge(Defaults())
	var n float64
	at := func(perSecond float64) func(float64, *Facts) {
		return func(_ float64, f *Facts) { n += perSecond / 4; f.Commits = int64(n) }
	}
	if v := looks(j, 0, 30, at(200)); v.Level != Clear {
		t.Errorf("steady: %s", v)
	}
	if v := looks(j, 30.25, 31, at(600)); v.Level == Clear || !strings.Contains(v.String(), "load: ") {
		t.Errorf("tripled for a second: %s", v)
	}
	if v := looks(j, 31.25, 60, at(600)); v.Level == Clear {
		t.Errorf("tripled for half a minute: %s", v)
	}
	if v := looks(j, 60.25, 62, at(200)); v.Level != Clear {
		t.Errorf("back: %s", v)
	}
	if v := looks(j, 62.25, 62+relearn.Seconds()+10, at(600)); v.Level != Clear {
		t.Errorf("tripled for good: %s", v)
	}
	own := NewJudge(Defaults())
	v := looks(own, 0, 20, func(s float64, f *Facts) { f.Commits, f.OwnCommits = int64(s*s*100), int64(s*s*100) })
	if v.Level != Clear {
		t.Errorf("the sweep's own transactions: %s", v)
	}
	crowd := NewJudge(Defaults())
	looks(crowd, 0, 10, func(_ float64, f *Facts) { f.Busy, f.Commits = 4, 1 })
	if v := looks(crowd, 10.25, 10.5, func(_ float64, f *Facts) { f.Busy, f.Commits = 16, 1 }); v.Level != Soft {
		t.Errorf("a crowd: %s", v)
	}
}

// TestLatency: the p99 while the sweep works against that while it rests.
func TestLatency(t *testing.T) {
	bounds := []float64{0.001, 0.00125, 0.0015, 0.00175, 0.002, 0.004, 0.008, 0.016}
	j := NewJudge(Defaults())
	counts := make([]uint64, len(bounds)+1)
	look := func(bucket int, resting bool) func(float64, *Facts) {
		return func(_ float64, f *Facts) {
			counts[0] += 97
			counts[bucket] += 3
			f.Resting, f.Busy = resting, 1
			f.Sight = &Sight{Bounds: bounds, Counts: append([]uint64(nil), counts...)}
		}
	}
	if v := looks(j, 0, 5, look(1, true)); v.Level != Clear {
		t.Errorf("at rest: %s", v)
	}
	if v := looks(j, 5.25, 10, look(1, false)); v.Level != Clear {
		t.Errorf("no worse: %s", v)
	}
	if v := looks(j, 10.25, 14, look(3, false)); v.Level != Soft || !strings.Contains(v.String(), "while the sweep rests") {
		t.Errorf("40 %% worse: %s", v)
	}
	if v := looks(j, 14.25, 16, look(6, false)); v.Level != Hard {
		t.Errorf("six times worse: %s", v)
	}
	// Worse at rest too: the sweep is not the cause.
	if v := looks(j, 16.25, 60, look(6, true)); v.Level != Clear {
		t.Errorf("at rest in worse times: %s", v)
	}
	if v := looks(j, 60.25, 62, look(6, false)); v.Level != Clear {
		t.Errorf("worse times: %s", v)
	}
}

func TestBlind(t *testing.T) {
	j := NewJudge(Defaults())
	looks(j, 0, 1, func(float64, *Facts) {})
	if _, blind := j.Blind(start.Add(2*time.Second), nil); blind {
		t.Error("blind after a second")
	}
	if v, blind := j.Blind(start.Add(6*time.Second), nil); !blind || v.Level != Hard {
		t.Errorf("seeing after five seconds: %s", v)
	}
}
