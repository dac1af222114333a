package job

import (
	"fmt"
	"time"
)

// Kind is what is wrong with a job.
type Kind string

// Kinds.
const (
	Late     Kind = "late"      // no start since a period and a half
	Overrun  Kind = "overrun"   // runs, or ran last, past its deadline or into its next start
	Failing  Kind = "failing"   // the last failures in a row
	TooOften Kind = "too_often" // starts come faster than declared
	Silent   Kind = "silent"    // no success in three periods
	Overlaps Kind = "overlaps"  // starts come while it still runs
)

// Fact is one thing that is wrong, for who watches.
type Fact struct {
	Job   string    `json:"job"`
	Kind  Kind      `json:"kind"`
	Count int       `json:"count"` // failures, or starts
	Since time.Time `json:"since"`
	Text  string    `json:"text"`
}

// How much is enough. Three in a row is what report 000 would have shown after
// three minutes instead of three days.
const (
	failuresEnough = 3
	periodsSilent  = 3
	overlapsEnough = 3
)

// Judge tells what is wrong with a job, from its state alone.
func Judge(s *State) []Fact {
	var facts []Fact
	add := func(kind Kind, count int, since time.Time, format string, args ...any) {
		facts = append(facts, Fact{s.Name, kind, count, since, fmt.Sprintf("job %s ", s.Name) + fmt.Sprintf(format, args...)})
	}
	if len(s.Runs) == 0 {
		if waited := s.Now.Sub(s.expected); s.Every > 0 && !s.expected.IsZero() && waited > s.Every*3/2 {
			add(Late, 0, s.expected.Add(s.Every), "never ran, it is to every %v", s.Every)
		}
		return facts
	}
	last := s.Runs[0]
	if s.Every > 0 && !s.Held && s.Now.Sub(last.Began) > s.Every*3/2 {
		add(Late, 0, last.Began.Add(s.Every), "did not start for %v, it is to every %v", round(s.Now.Sub(last.Began)), s.Every)
	}
	if limit, over := s.overrun(last); over {
		how := "ran for longer than"
		switch {
		case last.How == Deadline:
			how = "ran into its deadline of"
		case last.Ended == nil:
			how = "runs for longer than"
		}
		add(Overrun, 0, last.Began.Add(limit), "%s %v", how, limit)
	}
	if n := failures(s.Runs); n >= s.failuresEnough() {
		add(Failing, n, s.Runs[n-1].Began, "failed %d times in a row, last: %s", n, s.latestEnd())
	}
	if n, first := s.crowd(); n > 0 {
		add(TooOften, n, first, "started %d times within %v, it is to every %v", n, round(last.Began.Sub(first)), s.Every)
	}
	if since, silent := s.silence(); silent {
		add(Silent, 0, since, "had no success for %v, it is to every %v", round(s.Now.Sub(since)), s.Every)
	}
	if n, first := overlaps(s.Runs); n >= overlapsEnough {
		add(Overlaps, n, first, "was to start %d times while it still ran", n)
	}
	return facts
}

func (s *State) failuresEnough() int {
	if s.failures > 0 {
		return s.failures
	}
	return failuresEnough
}

// overlaps counts starts that came into the latest run, or into it and those
// before it without a break.
func overlaps(runs []Ran) (n int, first time.Time) {
	for _, r := range runs {
		if r.Overlapped == 0 {
			break
		}
		n, first = n+r.Overlapped, r.Began
	}
	return n, first
}

func round(d time.Duration) time.Duration { return d.Round(time.Second) }

// overrun looks at the deadline, or at the next start where there is none.
func (s *State) overrun(r Ran) (limit time.Duration, over bool) {
	if limit = s.Deadline; limit == 0 {
		limit = s.Every
	}
	if limit == 0 {
		return 0, false
	}
	end := s.Now
	if r.Ended != nil {
		end = *r.Ended
	}
	return limit, r.How == Deadline || end.Sub(r.Began) > limit && (r.Ended != nil || s.Held)
}

// bad tells whether a run that has ended did not do its work. One that was
// stopped or replaced was so by a person.
func (r *Ran) bad() bool { return r.How == Failed || r.How == Deadline || r.How == Lost }

// failures counts those in a row, from the newest ended one.
func failures(runs []Ran) int {
	n := 0
	for _, r := range runs {
		if r.Ended == nil && n == 0 {
			continue
		}
		if !r.bad() {
			break
		}
		n++
	}
	return n
}

func (s *State) latestEnd() string {
	for _, r := range s.Runs {
		if r.Ended != nil {
			if r.Exit != nil {
				return fmt.Sprintf("%s, exit code %d", r.How, *r.Exit)
			}
			return string(r.How)
		}
	}
	return "-"
}

// crowd looks for four starts in less than one and a half periods.
func (s *State) crowd() (n int, first time.Time) {
	const starts = 4
	if s.Every == 0 || len(s.Runs) < starts {
		return 0, first
	}
	first = s.Runs[starts-1].Began
	if s.Runs[0].Began.Sub(first) < s.Every*3/2 && s.Now.Sub(s.Runs[0].Began) < periodsSilent*s.Every {
		return starts, first
	}
	return 0, first
}

// silence looks for the last success; a job younger than three periods is
// given its time.
func (s *State) silence() (since time.Time, silent bool) {
	if s.Every == 0 {
		return since, false
	}
	since = s.Runs[len(s.Runs)-1].Began
	for _, r := range s.Runs {
		if r.How == Done {
			since = *r.Ended
			break
		}
	}
	return since, s.Now.Sub(since) > periodsSilent*s.Every
}
