package brake

import (
	"testing"
	"time"
)

// drive lets a pace run for some seconds over a table where each row takes
// perRow, under verdict, and returns how many rows went and for how long.
func drive(p *Pace, from time.Time, seconds float64, perRow time.Duration, v Verdict) (rows int64, busy time.Duration, end time.Time) {
	now := from
	for now.Sub(from).Seconds() < seconds {
		if wait := p.Obey(v, now); wait > 0 {
			now = now.Add(min(wait, 250*time.Millisecond))
			continue
		}
		n := int64(p.Size())
		took := time.Duration(n) * perRow
		now = now.Add(took)
		rows, busy = rows+n, busy+took
		now = now.Add(p.Done(Spent{Took: took, Looked: n, Deleted: n}, now))
	}
	return rows, busy, now
}

const row = 4 * time.Microsecond

func TestAlone(t *testing.T) {
	p := NewPace(Setting{}, start)
	_, _, now := drive(p, start, 10, row, Verdict{})
	if p.Duty() != 1 {
		t.Errorf("alone for ten seconds: duty %v", p.Duty())
	}
	if took := time.Duration(p.Size()) * row; took < 150*time.Millisecond || took > 201*time.Millisecond {
		t.Errorf("batches of %s", took)
	}
	rows, _, _ := drive(p, now, 10, row, Verdict{})
	if rate := float64(rows) / 10; rate < 240_000 {
		t.Errorf("%.0f rows/s of 250000", rate)
	}
}

// TestCompany: beside others batches are short, and take no more than the share.
func TestCompany(t *testing.T) {
	p := NewPace(Setting{}, start)
	_, _, now := drive(p, start, 10, row, Verdict{})
	if wait := p.Obey(Verdict{Shared: true}, now); wait != 0 {
		t.Errorf("waits %s", wait)
	}
	if took := time.Duration(p.Size()) * row; took > 1200*time.Microsecond {
		t.Errorf("the first batch in company takes %s", took)
	}
	_, busy, _ := drive(p, now, 30, row, Verdict{Shared: true})
	if part := busy.Seconds() / 30; part < sharedDuty/2 || part > sharedDuty+0.005 {
		t.Errorf("%.3f of the time in batches", part)
	}
}

func TestSoftHalves(t *testing.T) {
	p := NewPace(Setting{}, start)
	_, _, now := drive(p, start, 10, row, Verdict{})
	soft := Verdict{Level: Soft, Readings: []Reading{{"replica lag", Soft, ""}}}
	before := p.Duty()
	p.Obey(soft, now)
	if p.Duty() > before/2 {
		t.Errorf("duty %v right after a soft brake, %v before", p.Duty(), before)
	}
	_, busy, now := drive(p, now, 20, row, soft)
	if p.Duty() != leastDuty || busy == 0 {
		t.Errorf("duty %v after 20 s of a soft brake", p.Duty())
	}
	drive(p, now, 20, row, Verdict{})
	if p.Duty() != 1 {
		t.Errorf("duty %v 20 s after it let go", p.Duty())
	}
}

func TestHardStops(t *testing.T) {
	p := NewPace(Setting{}, start)
	_, _, now := drive(p, start, 10, row, Verdict{})
	hard := Verdict{Level: Hard, Readings: []Reading{{"lock", Hard, ""}}}
	rows, _, now := drive(p, now, 10, row, hard)
	if rows != 0 {
		t.Errorf("%d rows under a hard brake", rows)
	}
	rows, _, now = drive(p, now, 2, row, Verdict{})
	if rows == 0 {
		t.Error("no rows two seconds after the first stop ended")
	}
	// One stop after the other: the rests grow, but never beyond half a minute.
	for range 20 {
		_, _, now = drive(p, now, 1, row, hard)
		if wait := p.Obey(Verdict{}, now); wait > 32*time.Second {
			t.Errorf("waits %s", wait)
		}
		now = now.Add(time.Second)
	}
}

func TestRate(t *testing.T) {
	for _, rate := range []float64{50, 1000, 20_000} {
		p := NewPace(Setting{Rate: rate}, start)
		rows, _, _ := drive(p, start, 60, row, Verdict{})
		if got := float64(rows) / 60; got > rate*1.1 || got < rate*0.8 {
			t.Errorf("%.0f rows/s asked for, %.0f had", rate, got)
		}
	}
}

// TestSlowServer: rows that take long make batches small, not long.
func TestSlowServer(t *testing.T) {
	p := NewPace(Setting{}, start)
	drive(p, start, 20, time.Millisecond, Verdict{})
	if p.Size() > 210 {
		t.Errorf("batches of %d rows of 1 ms", p.Size())
	}
	p.Failed()
	p.Failed()
	if p.Size() < leastRows {
		t.Errorf("batches of %d rows", p.Size())
	}
}

// TestTrips: where a round trip takes longer than the rows of a batch should,
// batches do not shrink to nothing.
func TestTrips(t *testing.T) {
	p := NewPace(Setting{}, start)
	now := start
	for range 300 {
		if wait := p.Obey(Verdict{Shared: true}, now); wait > 0 {
			t.Fatalf("waits %s", wait)
		}
		n := int64(p.Size())
		s := Spent{Took: time.Duration(n)*row + 4*time.Millisecond, Trip: 4 * time.Millisecond, Looked: n, Deleted: n}
		now = now.Add(s.Took)
		now = now.Add(p.Done(s, now))
	}
	if took := time.Duration(p.Size()) * row; took < 900*time.Microsecond || took > 1100*time.Microsecond {
		t.Errorf("the rows of a batch take %s", took)
	}
}
