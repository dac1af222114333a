package brake

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// calm is a Gap that has seen no server held, as often as it remembers.
func calm() *Gap {
	var g Gap
	for range gapLooks {
		g.Open(0, 0)
	}
	return &g
}

func TestGapBeginsBetweenTransactions(t *testing.T) {
	g := calm()
	// Two transactions under way, then one, then none.
	for i, held := range []int{2, 1, 0} {
		if open, want := g.Open(held, time.Duration(i)*ms), held == 0; open != want {
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

// waits asks until g is open with so many servers held, and says for how long.
func waits(g *Gap, held int) time.Duration {
	waited := time.Duration(0)
	for !g.Open(held, waited) {
		waited += ms / 2
	}
	return waited
}

func TestGapWaitsNoLongerThanItMay(t *testing.T) {
	g := calm()
	if waited := waits(g, 3); waited != gapWait {
		t.Fatalf("open after %v, want %v", waited, gapWait)
	}
	// What it took is made up for by the rests that follow.
	for left := gapWait; left > 0; left -= 10 * ms {
		if rest := g.Rest(10 * ms); rest != 0 {
			t.Fatalf("a rest of %v, %v after a wait of %v", rest, gapWait-left, gapWait)
		}
	}
	if rest := g.Rest(10 * ms); rest != 10*ms {
		t.Errorf("rest of %v after all is made up for, want 10ms", rest)
	}
}

func TestGapMakesUpForSoMuch(t *testing.T) {
	g := calm()
	for range 10 {
		waits(g, 1)
	}
	if rest := g.Rest(time.Second); rest != time.Second-mostLate {
		t.Errorf("rest of %v after ten waits of %v, want %v", rest, gapWait, time.Second-mostLate)
	}
}

// Sessions that keep their servers leave no moment without one.
func TestGapLearnsWhatIsHeldForGood(t *testing.T) {
	g := calm()
	batches := 0
	for waits(g, 5) > 0 {
		if batches++; batches > gapLooks {
			t.Fatalf("five servers held for good: batch %d waits too", batches)
		}
	}
	if g.Open(6, 0) {
		t.Error("a sixth is a transaction: no gap")
	}
	batches = 0
	for g.Open(3, 0) { // two are held now, a third is a transaction
		g.Open(2, 0)
		g.Open(2, 0)
		if batches++; batches > gapLooks {
			t.Fatal("two are held for good: three are no gap")
		}
	}
}

// Under a load that always holds servers, the calmer half of the time is a gap.
func TestGapTakesTheCalmerHalf(t *testing.T) {
	var g Gap
	for i := range 1000 {
		g.Open(4+i%8, 0)
	}
	if !g.Open(7, 0) || g.Open(9, 0) {
		t.Error("with 4 to 11 servers held, 7 are to be a gap and 9 none")
	}
}
