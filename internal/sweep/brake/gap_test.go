package brake

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func TestGapBeginsBetweenTransactions(t *testing.T) {
	var g Gap
	// Two transactions under way, then one, then none.
	for i, held := range []int{2, 1, 0} {
		if open, want := g.Open(held, time.Duration(i)*ms, 10*ms), held == 0; open != want {
			t.Fatalf("look %d, %d held: open %v, want %v", i, held, open, want)
		}
	}
	if rest := g.Rest(10 * ms); rest != 8*ms {
		t.Errorf("rest after a wait of 2 ms: %v, want 8ms: the wait is to cost no part of the time", rest)
	}
	if rest := g.Rest(10 * ms); rest != 10*ms {
		t.Errorf("the rest after that: %v, want 10ms", rest)
	}
}

func TestGapWaitsNoLongerThanItMay(t *testing.T) {
	for _, c := range []struct{ rest, most time.Duration }{{20 * ms, gapWait}, {2 * ms, 2 * ms}, {0, 0}} {
		var g Gap
		for waited := time.Duration(0); waited < c.most; waited += ms / 2 {
			if g.Open(3, waited, c.rest) {
				t.Fatalf("rest %v: open after %v, want %v", c.rest, waited, c.most)
			}
		}
		if !g.Open(3, c.most, c.rest) {
			t.Fatalf("rest %v: not open after %v", c.rest, c.most)
		}
	}
}

// Sessions that keep their servers leave no moment without one.
func TestGapLearnsWhatIsHeldForGood(t *testing.T) {
	var g Gap
	for waited := time.Duration(0); !g.Open(5, waited, 20*ms); waited += ms {
	}
	if !g.Open(5, 0, 20*ms) {
		t.Fatal("five servers held for good: the second batch waits too")
	}
	if g.Open(6, 0, 20*ms) {
		t.Fatal("a sixth is a transaction: no gap")
	}
	g.Open(2, ms, 20*ms) // three sessions have gone
	if g.Open(3, 0, 20*ms) {
		t.Fatal("two are held for good: three are no gap")
	}
}
