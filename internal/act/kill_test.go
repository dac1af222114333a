package act

import (
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestStepsAndGrace: a quarter at a time and at most 50, then those that did not hear.
func TestStepsAndGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		defer b.end(t)
		b.field.holders = append(holders(300, "batch"), Holder{PID: 9999, Workload: "api", State: "active"})
		b.field.deaf = map[int]bool{100: true, 200: true, 300: true}
		a := b.must(t, Order{Kind: Kill, Select: Selection{Workload: "batch"}})
		want := []int{50, 50, 50, 50, 50, 50, 1, 1, 1}
		if !slices.Equal(b.field.strikes, want) {
			t.Errorf("steps %v, want %v", b.field.strikes, want)
		}
		if got := a.outcomes(); !maps.Equal(got, map[string]int{"cancelled": 297, "terminated": 3}) {
			t.Errorf("outcomes %v", got)
		}
		if len(b.field.holders) != 1 || b.field.holders[0].PID != 9999 {
			t.Errorf("left are %+v", b.field.holders)
		}
		if got := b.noted(); !slices.Equal(got, []string{"action.begun", "action.applied"}) {
			t.Errorf("events %v", got)
		}
		if want := "kill workload=batch by boss: done, 300 targets, 297 cancelled, 3 terminated"; b.said() != want {
			t.Errorf("the record says %q, want %q", b.said(), want)
		}
		b.field.holders, b.field.strikes, b.field.deaf = holders(10, "batch"), nil, nil
		b.must(t, Order{Kind: Kill, Select: Selection{Workload: "batch"}})
		if want := []int{2, 2, 2, 2, 2}; !slices.Equal(b.field.strikes, want) {
			t.Errorf("steps %v, want %v", b.field.strikes, want)
		}
	})
}

func TestCaps(t *testing.T) {
	b := open(t)
	b.field.holders = holders(20, "batch")
	b.rules.MaxTargets = 19
	b.refused(t, boss, Order{Kind: Kill, Select: Selection{Workload: "batch"}}, TooMany)
	b.rules.MaxTargets = 500
	b.refused(t, boss, Order{Kind: Kill, Max: 19, Select: Selection{Workload: "batch"}}, TooMany)
	if len(b.field.strikes) > 0 {
		t.Errorf("strikes %v", b.field.strikes)
	}
}

// TestSomebodyElseNow: a pid, or a client, that does something else than it was
// seen to do is left alone.
func TestSomebodyElseNow(t *testing.T) {
	was := holders(1, "batch")[0]
	for name, change := range map[string]func(*Holder){
		"another backend":     func(h *Holder) { h.BackendAt = h.BackendAt.Add(time.Second) },
		"another transaction": func(h *Holder) { h.TransactionAt = h.TransactionAt.Add(time.Second) },
		"another client":      func(h *Holder) { h.Client++ },
	} {
		now := was
		change(&now)
		if was.same(&now) {
			t.Errorf("%s is taken for the same", name)
		}
	}
	now := was
	now.QueryAt = now.QueryAt.Add(time.Second)
	if !was.same(&now) {
		t.Error("the next statement of the same transaction is another target")
	}
	was.TransactionAt, now.TransactionAt = time.Time{}, time.Time{}
	if was.same(&now) {
		t.Error("another statement outside of transactions is taken for the same")
	}
}

func TestSelection(t *testing.T) {
	at := time.Now()
	base := Holder{PID: 1, Workload: "batch", User: "worker", Database: "app", Application: "job", State: "active", Fingerprint: "00000000000000ab",
		BackendAt: at.Add(-time.Hour), TransactionAt: at.Add(-time.Minute), QueryAt: at.Add(-10 * time.Second)}
	idle := base
	idle.State, idle.QueryAt, idle.IdleAt = "idle in transaction", time.Time{}, at.Add(-30*time.Second)
	pinned := base
	pinned.State, pinned.QueryAt, pinned.TransactionAt, pinned.IdleAt = "idle", time.Time{}, time.Time{}, at.Add(-time.Hour)
	guard := func(why string) Holder { h := base; h.Guarded = why; return h }
	for name, one := range map[string]struct {
		s       Selection
		h       Holder
		hit     bool
		guarded int
	}{
		"glob":                    {Selection{Workload: "bat*"}, base, true, 0},
		"other workload":          {Selection{Workload: "api"}, base, false, 0},
		"literal star":            {Selection{Workload: literal("bat*")}, base, false, 0},
		"all must fit":            {Selection{Workload: "batch", User: "other"}, base, false, 0},
		"old enough":              {Selection{OlderThan: Duration(10 * time.Second)}, base, true, 0},
		"too young":               {Selection{OlderThan: Duration(11 * time.Second)}, base, false, 0},
		"idle by its silence":     {Selection{OlderThan: Duration(31 * time.Second)}, idle, false, 0},
		"idle":                    {Selection{State: StateInTxn}, idle, true, 0},
		"idle in words":           {Selection{State: "idle in transaction"}, idle, true, 0},
		"active is not idle":      {Selection{State: StateInTxn}, base, false, 0},
		"idle session is no kill": {Selection{User: "worker"}, pinned, false, 0},
		"idle session when said":  {Selection{User: "worker", State: StateIdle}, pinned, true, 0},
		"idle session by pid":     {Selection{PIDs: []int{1}}, pinned, true, 0},
		"fingerprint":             {Selection{Fingerprint: "AB"}, base, true, 0},
		"other fingerprint":       {Selection{Fingerprint: "ac"}, base, false, 0},
		"operator":                {Selection{User: "worker"}, guard("operator"), false, 1},
		"operator by pid":         {Selection{PIDs: []int{1}}, guard("operator"), true, 0},
		"replication":             {Selection{Application: "job"}, guard("replication"), false, 1},
		"dump":                    {Selection{Application: "j*"}, guard("dump"), false, 1},
		"dump by name":            {Selection{Application: "job"}, guard("dump"), true, 0},
		"ddl":                     {Selection{User: "worker"}, guard("ddl"), false, 1},
		"ddl by fingerprint":      {Selection{Fingerprint: "ab"}, guard("ddl"), true, 0},
	} {
		if err := one.s.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		hits, guarded := one.s.Pick([]Holder{one.h}, at)
		if (len(hits) == 1) != one.hit || guarded != one.guarded {
			t.Errorf("%s: %d hits, %d guarded", name, len(hits), guarded)
		}
	}
}

func TestKillFails(t *testing.T) {
	b := open(t)
	b.field.holders, b.field.broken = holders(1, "batch"), errors.New("loop hangs")
	if _, err := b.Do(t.Context(), boss, Order{Kind: Kill, Select: Selection{Workload: "batch"}}); err == nil {
		t.Error("no error")
	}
	if len(b.field.strikes) > 0 {
		t.Error("it struck blindly")
	}
}

// TestAutomatic: only what the config names, and no more often than it says.
func TestAutomatic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		defer b.end(t)
		storm := Finding{Detector: "storm", Workload: "batch", Fingerprint: "ab", Text: "200 at once"}
		b.Hear(storm)
		synctest.Wait()
		if len(b.List()) > 0 {
			t.Fatalf("it acted unasked: %+v", b.List())
		}
		b.rules.Automatic = []Automatic{
			{Name: "cap", Detector: "storm", Workload: "bat*", Every: 5 * time.Minute, Order: Order{Kind: Ban, Max: 3, For: Duration(time.Minute)}},
			{Name: "lag", Detector: "replica-lag", Every: time.Minute, Order: Order{Kind: Pause}},
		}
		b.Hear(Finding{Detector: "storm", Workload: "api", Fingerprint: "ab"})
		for range 10 {
			b.Hear(storm)
		}
		synctest.Wait()
		if s := b.Standing(); len(s.Bans) != 1 || s.Bans[0].Max != 3 || len(s.Pauses) != 0 || len(b.List()) != 1 {
			t.Fatalf("standing %+v, listed %+v", s, b.List())
		}
		if a := b.List()[0]; a.Who != "automatic cap" || a.Order.Reason != "automatic cap: 200 at once" {
			t.Errorf("got %+v", a)
		}
		time.Sleep(5 * time.Minute)
		b.Hear(storm)
		synctest.Wait()
		if len(b.List()) != 2 {
			t.Errorf("after its pause: %+v", b.List())
		}
		b.field.holders = holders(5, "batch")
		b.rules.Automatic = []Automatic{{Name: "reap", Detector: "long-transaction", Every: time.Minute, Order: Order{Kind: Kill, Max: 4}}}
		b.Hear(Finding{Detector: "long-transaction", Workload: "batch"})
		synctest.Wait()
		if len(b.field.strikes) > 0 {
			t.Errorf("above its cap it struck %v", b.field.strikes)
		}
		b.rules.Automatic = []Automatic{{Name: "old", Detector: "long-transaction", Every: time.Minute,
			Order: Order{Kind: Kill, Select: Selection{OlderThan: Duration(time.Second)}}}}
		b.Hear(Finding{Detector: "long-transaction"}) // of a connection outside
		synctest.Wait()
		if len(b.field.strikes) > 0 {
			t.Errorf("for a finding of nobody it struck %v", b.field.strikes)
		}
	})
}

// TestAtOnce: however many ask at once, a bounded number acts, and each key once.
func TestAtOnce(t *testing.T) {
	b := open(t)
	b.field.holders = holders(40, "batch")
	var done atomic.Int32
	ids := make(chan string, 50)
	for range 50 {
		go func() {
			a, err := b.Do(t.Context(), boss, Order{Kind: Pause, Workload: "batch", Key: "same"})
			if err == nil {
				done.Add(1)
			}
			ids <- a.ID
		}()
	}
	seen := map[string]bool{}
	for range 50 {
		if id := <-ids; id != "" {
			seen[id] = true
		}
	}
	if len(seen) != 1 || done.Load() == 0 || len(b.List()) != 1 {
		t.Errorf("%d went through with %d actions", done.Load(), len(seen))
	}
}
