package node

import (
	"log/slog"
	"runtime/debug"
	"testing"
	"time"
)

// litter makes garbage, no piece of which is in use when the next is made: what
// the collector has seen alive would not count as garbage before it looks again.
func litter(bytes int) {
	for ; bytes > 0; bytes -= 1 << 20 {
		clear(make([]byte, 1<<20))
	}
}

func TestThriftGivesBackAfterCalm(t *testing.T) {
	was := debug.SetGCPercent(100)
	defer debug.SetGCPercent(was)
	spare := newThrift(slog.New(slog.DiscardHandler))
	now := time.Now()
	spare.look(now)
	litter(32 << 20)
	spare.look(now.Add(thriftEvery))
	if spare.calm || spare.quiet != 0 || !spare.flood {
		t.Fatalf("calm %v, quiet %d, flood %v while much is made", spare.calm, spare.quiet, spare.flood)
	}
	for range thriftLooks {
		now = now.Add(thriftPause)
		spare.look(now)
	}
	if !spare.calm || spare.flood || !spare.gaveAt.Equal(now) {
		t.Fatalf("calm %v, flood %v, given back at %v, want %v", spare.calm, spare.flood, spare.gaveAt, now)
	}
	if got := targetNow(); got != thriftTarget {
		t.Errorf("target while calm: %d", got)
	}
	for now.Sub(spare.gaveAt) < thriftAgain-thriftPause {
		now = now.Add(thriftPause)
		spare.look(now)
	}
	if spare.gaveAt.Equal(now) {
		t.Error("memory was given back again without a flood or a pause")
	}
	if err := spare.Start(); err != nil {
		t.Fatal(err)
	}
	if err := spare.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := targetNow(); got != 100 {
		t.Errorf("target after the end: %d", got)
	}
}

func TestThriftLeavesALowTarget(t *testing.T) {
	was := debug.SetGCPercent(thriftTarget - 5)
	defer debug.SetGCPercent(was)
	spare := newThrift(slog.New(slog.DiscardHandler))
	spare.settle(true)
	spare.settle(false)
	if got := targetNow(); got != thriftTarget-5 {
		t.Errorf("target: %d", got)
	}
}
