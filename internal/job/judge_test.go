package job

import (
	"slices"
	"testing"
	"time"
)

// at makes a run that began and lasted so long ago, and ended as how says; ""
// still runs.
func at(now time.Time, ago, lasted time.Duration, how How) Ran {
	r := Ran{Began: now.Add(-ago), How: how}
	if how != "" {
		end := r.Began.Add(lasted)
		r.Ended = &end
	}
	return r
}

func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	const m, s = time.Minute, time.Second
	tests := map[string]struct {
		state State
		runs  []Ran
		want  []Kind
	}{
		"all well":                {State{Every: m, Deadline: 50 * s}, []Ran{at(now, 10*s, 5*s, Done), at(now, 70*s, 5*s, Done)}, nil},
		"late":                    {State{Every: m}, []Ran{at(now, 100*s, 5*s, Done)}, []Kind{Late}},
		"late and silent":         {State{Every: m}, []Ran{at(now, 300*s, 5*s, Done)}, []Kind{Late, Silent}},
		"runs over its deadline":  {State{Every: m, Deadline: 50 * s, Held: true}, []Ran{at(now, 55*s, 0, ""), at(now, 115*s, s, Done)}, []Kind{Overrun}},
		"ran into its deadline":   {State{Every: m, Deadline: 50 * s}, []Ran{at(now, 55*s, 50*s, Deadline)}, []Kind{Overrun}},
		"runs into the next":      {State{Every: m, Held: true}, []Ran{at(now, 61*s, 0, "")}, []Kind{Overrun}},
		"two failures":            {State{Every: m}, []Ran{at(now, 10*s, s, Failed), at(now, 70*s, s, Failed), at(now, 130*s, s, Done)}, nil},
		"three failures":          {State{Every: m}, []Ran{at(now, 10*s, s, Failed), at(now, 70*s, s, Lost), at(now, 130*s, s, Failed), at(now, 190*s, 12*s, Done)}, []Kind{Failing}},
		"report 000":              {State{Every: m, Deadline: 50 * s, Held: true}, []Ran{at(now, 10*s, 0, ""), at(now, 70*s, 50*s, Deadline), at(now, 130*s, 50*s, Deadline), at(now, 190*s, 50*s, Deadline)}, []Kind{Failing, Silent}},
		"too often":               {State{Every: m}, []Ran{at(now, 1*s, s, Done), at(now, 10*s, s, Done), at(now, 20*s, s, Done), at(now, 30*s, s, Done)}, []Kind{TooOften}},
		"stopped is no failure":   {State{Every: m}, []Ran{at(now, 10*s, s, Stopped), at(now, 70*s, s, Failed), at(now, 130*s, s, Failed)}, nil},
		"nobody said how often":   {State{}, []Ran{at(now, 1000*s, 5*s, Done)}, nil},
		"a lease that is no more": {State{Every: m}, []Ran{at(now, 80*s, 0, "")}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.state.Name, test.state.Now, test.state.Runs = "x", now, test.runs
			var got []Kind
			for _, fact := range Judge(&test.state) {
				got = append(got, fact.Kind)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v: %+v", got, test.want, Judge(&test.state))
			}
		})
	}
}

func TestOrderThatIsWrong(t *testing.T) {
	for name, o := range map[string]Order{
		"no name":       {Command: []string{"true"}},
		"a space":       {Name: "a b", Command: []string{"true"}},
		"a long name":   {Name: "a1234567890123456789012345678901234567890", Command: []string{"true"}},
		"no command":    {Name: "a"},
		"below 0":       {Name: "a", Command: []string{"true"}, Deadline: -1},
		"an overlap":    {Name: "a", Command: []string{"true"}, Overlap: "both"},
		"limit below 0": {Name: "a", Command: []string{"true"}, Limit: -1},
	} {
		if err := o.Check(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
