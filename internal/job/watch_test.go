package job

import (
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	var w Watch
	look := func(facts []Fact, runs ...Ran) News {
		return w.Look("main", []State{{Name: "x", Now: now, Runs: runs, Facts: facts}})
	}
	old := at(now, time.Hour, time.Minute, Done)
	if n := look(nil, old); len(n.Ended)+len(n.Found)+len(n.Gone) != 0 {
		t.Errorf("the first look: %+v", n)
	}
	runs := at(now, time.Minute, 0, "")
	if n := look(nil, runs, old); len(n.Ended) != 0 {
		t.Errorf("one runs: %+v", n)
	}
	one, two := at(now, time.Minute, 5*time.Second, Failed), at(now, 30*time.Second, 5*time.Second, Done)
	if n := look([]Fact{{Job: "x", Kind: Failing, Count: 3}}, two, one, old); len(n.Ended) != 2 || n.Ended[0].How != Failed || n.Ended[1].How != Done || len(n.Found) != 1 {
		t.Errorf("two ended: %+v", n)
	}
	if n := look([]Fact{{Job: "x", Kind: Failing, Count: 3}}, two, one, old); len(n.Ended)+len(n.Found)+len(n.Gone) != 0 {
		t.Errorf("nothing new: %+v", n)
	}
	if n := look([]Fact{{Job: "x", Kind: Failing, Count: 4}}, two, one, old); len(n.Found) != 1 || n.Found[0].Count != 4 {
		t.Errorf("it counts more: %+v", n)
	}
	if n := look(nil, two); len(n.Gone) != 1 || n.Gone[0].Kind != Failing {
		t.Errorf("it is over: %+v", n)
	}
	look([]Fact{{Job: "x", Kind: Late}}, two)
	if n := w.Forget("main"); len(n.Gone) != 1 || n.Gone[0].Kind != Late {
		t.Errorf("a place that is watched no more: %+v", n)
	}
}

// TestExpect: a job that is expected and never ran is late, in its time.
func TestExpect(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	for waited, want := range map[time.Duration]int{80 * time.Second: 0, 100 * time.Second: 1} {
		r := &Room{Expect: []Expect{{Name: "x", Every: time.Minute}}, Since: time.Now().Add(-waited)}
		states := r.expect(nil, now)
		if got := Judge(&states[0]); len(got) != want || want == 1 && got[0].Kind != Late {
			t.Errorf("after %v: %+v", waited, got)
		}
	}
	r := &Room{Expect: []Expect{{Name: "x", Every: time.Hour, Failures: 2}}}
	states := r.expect([]State{{Name: "x", Now: now, Every: time.Minute, Runs: []Ran{at(now, time.Minute, 0, Failed), at(now, time.Hour, 0, Failed)}}}, now)
	if got := Judge(&states[0]); len(got) != 1 || got[0].Kind != Failing {
		t.Errorf("two failures are too many: %+v", got)
	}
}

func TestOverlaps(t *testing.T) {
	for name, test := range map[string]struct {
		counts []int // newest first
		want   int
	}{
		"none":              {[]int{0, 9}, 0},
		"one run":           {[]int{3, 0}, 3},
		"each into another": {[]int{1, 1, 1, 0, 5}, 3},
	} {
		var runs []Ran
		for _, n := range test.counts {
			runs = append(runs, Ran{Overlapped: n})
		}
		if n, _ := overlaps(runs); n != test.want {
			t.Errorf("%s: got %d, want %d", name, n, test.want)
		}
	}
}
