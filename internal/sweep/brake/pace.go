package brake

import (
	"math/rand/v2"
	"time"
)

// Bounds of the pace.
const (
	leastRows, mostRows = 100, 50_000
	// quietTarget is how long a batch takes when nobody else is there.
	quietTarget = 200 * time.Millisecond
	// sharedTarget is how long it takes when somebody is. At a duty of 1 or 2 %
	// that many transactions meet a batch: their p99 is what it adds to them. 5 ms
	// doubled a p99 of 4 ms.
	sharedTarget = time.Millisecond
	// sharedDuty is the part of the time it is at work beside others. 14 % deleted
	// 8,900 rows/s, 25 % 18,900: docs/sweeps.md.
	sharedDuty = 0.25
	// leastDuty keeps a sweep under soft brakes alive.
	leastDuty = 0.005
	// growEvery is how often the duty grows, halveEvery how often it halves.
	growEvery, halveEvery = 500 * time.Millisecond, time.Second
	// breathEvery and breath: in company the sweep rests after its first batch and
	// now and then, so that the brakes see how things are without it.
	breathEvery, breath = 10 * time.Second, time.Second
)

// Setting is how fast a sweep may go at most.
type Setting struct {
	Target time.Duration // of a batch when alone; 0 = 200 ms
	Beside time.Duration // the same when not alone; 0 = 1 ms
	Share  float64       // most of the time spent in batches when not alone; 0 = 0.25
	Rate   float64       // rows a second; 0 = no limit
}

// Pace decides the size of batches and the rests between them: size follows a
// target duration, duty (the part of the time spent in batches) the brakes. Not
// safe for concurrent use.
type Pace struct {
	set     Setting
	size    float64
	perRow  float64 // seconds, smoothed
	duty    float64
	verdict Verdict
	begun   bool      // a verdict has come
	changed time.Time // of the duty
	breath  time.Time // end of the last one
	stops   int       // hard stops in a row
	stopped time.Time // start of the last hard stop
	until   time.Time // nothing runs before
	due     time.Time // when the rate allows the next batch
}

// NewPace starts slowly, with small batches.
func NewPace(s Setting, now time.Time) *Pace {
	if s.Target == 0 {
		s.Target = quietTarget
	}
	if s.Beside <= 0 {
		s.Beside = sharedTarget
	}
	if s.Share == 0 {
		s.Share = sharedDuty
	}
	return &Pace{set: s, size: 1000, duty: s.Share, changed: now, breath: now.Add(-breathEvery)}
}

// Duty is the part of the time spent in batches now.
func (p *Pace) Duty() float64 { return p.duty }

// Size is how many rows the next batch should look at.
func (p *Pace) Size() int { return int(p.size) }

// most is the duty's upper bound now.
func (p *Pace) most() float64 {
	if p.verdict.Shared {
		return p.set.Share
	}
	return 1
}

func (p *Pace) target() time.Duration {
	if p.verdict.careful() {
		return min(p.set.Target, p.set.Beside)
	}
	return p.set.Target
}

// careful says whether batches are to be short.
func (v Verdict) careful() bool { return v.Shared || v.Level == Soft }

// Obey takes a verdict. It returns how long nothing may run: 0 to go on. A
// stop ends some random time after its brake let go, longer from one stop to
// the next, so that several sweeps do not come back together.
func (p *Pace) Obey(v Verdict, now time.Time) time.Duration {
	was := p.verdict.Level
	if v.careful() && !p.verdict.careful() && p.perRow > 0 {
		// Somebody came, or a brake pulls: the next batch is short already.
		p.size = min(p.size, max(p.set.Beside.Seconds()/p.perRow, leastRows))
	}
	p.verdict = v
	first := !p.begun
	p.begun = true
	switch {
	case first && v.Level == Clear && !v.Shared:
		p.duty = 1 // nobody is there to be spared
	case v.Level == Hard:
		if was != Hard {
			if now.Sub(p.stopped) > time.Minute {
				p.stops = 0
			}
			p.stopped = now
			p.stops = min(p.stops+1, 7)
			p.duty = max(p.duty/2, leastDuty)
		}
		p.until = now.Add(time.Second)
		return time.Second
	case was == Hard:
		// 0.5 s, 1 s, … 32 s at most.
		p.until = now.Add(time.Duration(rand.Float64() * float64(500*time.Millisecond<<(p.stops-1))))
		p.changed = now
	case v.Level == Soft:
		if now.Sub(p.changed) >= halveEvery || was == Clear {
			p.duty = max(min(p.duty, p.most())/2, leastDuty)
			p.changed = now
		}
	case now.Sub(p.changed) >= growEvery:
		p.duty *= 1.25
		if !v.Shared {
			p.duty *= 1.6 // alone: from the floor to all of the time in 4 s
		}
		p.changed = now
	}
	p.duty = min(p.duty, p.most())
	return max(p.until.Sub(now), 0)
}

// Spent is what a batch took.
type Spent struct {
	Took time.Duration
	// Trip is what went for round trips: for each as long as one with hardly any
	// work, a commit, takes.
	Trip            time.Duration
	Looked, Deleted int64 // rows
}

// work is the part of the time that the rows took. Shorter batches make it
// shorter, but not the trips: on a busy machine those would be all there is.
func (s Spent) work() time.Duration { return max(s.Took-s.Trip, s.Took/10) }

// Done is told of a batch and returns the rest after it.
func (p *Pace) Done(s Spent, now time.Time) time.Duration {
	took := s.Took
	p.learn(s.work(), s.Looked)
	rest := time.Duration(float64(took) * (1 - p.duty) / p.duty)
	if p.set.Rate > 0 {
		if p.due.IsZero() {
			p.due = now.Add(-took)
		}
		if earliest := now.Add(-took - time.Second); p.due.Before(earliest) {
			p.due = earliest // what was not used before is lost, but for a second
		}
		p.due = p.due.Add(time.Duration(float64(s.Deleted) / p.set.Rate * float64(time.Second)))
		rest = max(rest, p.due.Sub(now))
	}
	if p.verdict.Shared && now.Sub(p.breath) >= breathEvery {
		rest = max(rest, breath)
		p.breath = now.Add(rest)
	}
	return rest
}

// learn moves the size towards the target: at most ½ down and 1.2 up a batch.
func (p *Pace) learn(took time.Duration, looked int64) {
	if looked > 0 {
		each := took.Seconds() / float64(looked)
		if p.perRow == 0 {
			p.perRow = each
		}
		p.perRow = 0.4*each + 0.6*p.perRow
	}
	step := 1.2
	if p.perRow > 0 {
		step = min(max(p.target().Seconds()/(p.perRow*p.size), 0.5), 1.2)
	}
	most := float64(mostRows)
	if p.set.Rate > 0 {
		most = min(most, max(p.set.Rate/2, leastRows))
	}
	p.size = min(max(p.size*step, leastRows), most)
}

// Failed is told of a batch that ran into a timeout: half the size next time.
func (p *Pace) Failed() { p.size = max(p.size/2, leastRows) }
