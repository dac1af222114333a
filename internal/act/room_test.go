package act

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStandsAndExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		defer b.end(t)
		a := b.must(t, Order{Kind: Pause, Workload: "batch", Reason: "storm", For: Duration(10 * time.Minute)})
		if a.State != Stands || a.Until.Sub(a.At) != 10*time.Minute {
			t.Errorf("got %+v", a)
		}
		if got := b.Standing().Pauses["batch"]; !strings.Contains(got.Text, "by boss: storm") {
			t.Errorf("standing: %+v", got)
		}
		if want := "pause batch by boss (storm): stands until 2000-01-01T00:10:00Z"; b.said() != want {
			t.Errorf("the record says %q, want %q", b.said(), want)
		}
		if got := b.noted(); !slices.Equal(got, []string{"action.begun", "action.applied"}) {
			t.Errorf("events %v", got)
		}
		time.Sleep(10*time.Minute - time.Nanosecond)
		synctest.Wait()
		if len(b.Standing().Pauses) != 1 {
			t.Error("it ended early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if len(b.Standing().Pauses) != 0 || b.forced != 2 {
			t.Errorf("it did not end: %+v, enforced %d times", b.Standing(), b.forced)
		}
		if got := b.noted(); !slices.Equal(got, []string{"action.expired"}) {
			t.Errorf("events %v", got)
		}
		if list := b.List(); list[0].State != Expired || list[0].EndedBy != "the clock" {
			t.Errorf("listed as %+v", list[0])
		}
	})
}

func TestReplaceResumeUndo(t *testing.T) {
	b := open(t)
	first := b.must(t, Order{Kind: Limit, Workload: "batch", Limit: 5})
	second := b.must(t, Order{Kind: Limit, Workload: "batch", Limit: 2})
	b.must(t, Order{Kind: Limit, Workload: "api", Limit: 7})
	if got := b.Standing().Limits; got["batch"].Slots != 2 || got["api"].Slots != 7 {
		t.Errorf("limits %v", got)
	}
	if a, _ := b.Get(first.ID); a.State != Replaced || a.EndedBy != "action "+second.ID {
		t.Errorf("the first is %+v", a)
	}
	b.refused(t, boss, Order{Kind: Undo, Action: first.ID}, Wrong)
	b.must(t, Order{Kind: Undo, Action: second.ID})
	if got := b.Standing().Limits; len(got) != 1 {
		t.Errorf("limits %v", got)
	}
	b.must(t, Order{Kind: Pause, Workload: "batch", Queue: true})
	if !b.Standing().Pauses["batch"].Queue {
		t.Error("it does not queue")
	}
	b.must(t, Order{Kind: Resume, Workload: "batch"})
	b.refused(t, boss, Order{Kind: Resume, Workload: "batch"}, Unknown)
	b.must(t, Order{Kind: Ban, Fingerprint: "0ab", Max: 3})
	b.must(t, Order{Kind: Unban, Fingerprint: "00000000000000AB"})
	if n := len(b.Standing().Bans); n != 0 {
		t.Errorf("%d bans stand", n)
	}
}

func TestKeptOverProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "actions.json")
	first := newBench(t, path)
	a := first.must(t, Order{Kind: Pause, Workload: "batch", Key: "k"})
	first.must(t, Order{Kind: Ban, Fingerprint: "ab", For: Duration(time.Millisecond)})
	first.end(t)
	time.Sleep(2 * time.Millisecond) // the ban's time
	second := newBench(t, path)
	defer second.end(t)
	if s := second.Standing(); len(s.Pauses) != 1 || len(s.Bans) != 0 {
		t.Errorf("standing: %+v", s)
	}
	if again := second.must(t, Order{Kind: Pause, Workload: "batch", Key: "k"}); again.ID != a.ID {
		t.Error("the key was forgotten")
	}
	second.refused(t, boss, Order{Kind: Pause, Workload: "api", Key: "k"}, Conflict)
	if found, err := os.Stat(path); err != nil || found.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", found.Mode(), err)
	}
}

// TestBrokenFile: a node starts whatever the file holds.
func TestBrokenFile(t *testing.T) {
	for _, text := range []string{"", "{", "null", `{"version":9}`, `{"version":1,"actions":[null,{},{"id":"x","state":"stands","order":{"kind":"ban","fingerprint":"zz"}}]}`,
		`{"version":1,"actions":[{"id":"x","state":"underway"}]}`} {
		path := filepath.Join(t.TempDir(), "actions.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b := newBench(t, path)
		b.must(t, Order{Kind: Pause, Workload: "batch"})
		if s := b.Standing(); len(s.Pauses) != 1 || len(s.Bans) != 0 {
			t.Errorf("%s: %+v", text, s)
		}
		b.end(t)
	}
}

// TestListIsBounded: what stands is never forgotten.
func TestListIsBounded(t *testing.T) {
	b := open(t)
	b.Path = "" // quick
	b.must(t, Order{Kind: Pause, Workload: "batch"})
	for range maxListed + 50 {
		b.must(t, Order{Kind: Kill, Select: Selection{Workload: "none"}})
	}
	list := b.List()
	if len(list) > maxListed || list[len(list)-1].Order.Kind != Pause || len(b.Standing().Pauses) != 1 {
		t.Errorf("%d are listed, the last %+v", len(list), list[len(list)-1])
	}
}

func TestDryRunDoesNothing(t *testing.T) {
	b := open(t)
	b.field.holders = holders(3, "batch")
	for _, o := range []Order{
		{Kind: Pause, Workload: "batch", Cancel: true}, {Kind: Kill, Select: Selection{Workload: "batch"}},
		{Kind: Ban, Fingerprint: "ab"}, {Kind: Terminate, Server: "main", Select: Selection{User: "worker"}},
	} {
		o.DryRun, o.Key = true, "k"
		if a := b.must(t, o); a.State != Previewed || a.Targets != 3 || len(a.Hits) != 3 {
			t.Errorf("%s: %+v", o.Kind, a)
		}
	}
	if len(b.field.strikes) > 0 || len(b.noted()) > 0 || b.forced > 0 || len(b.List()) > 0 {
		t.Errorf("something was done: %v, %+v", b.field.strikes, b.List())
	}
}

func TestRefusals(t *testing.T) {
	b := open(t)
	for _, o := range []Order{
		{}, {Kind: "explode"}, {Kind: Pause}, {Kind: Limit, Workload: "batch"}, {Kind: Limit, Workload: "batch", Limit: -1},
		{Kind: Ban}, {Kind: Ban, Fingerprint: "xyz"}, {Kind: Ban, Fingerprint: "0"}, {Kind: Ban, Fingerprint: "11112222333344445"},
		{Kind: Ban, Fingerprint: "be9"}, {Kind: Kill}, {Kind: Kill, Select: Selection{Workload: "["}}, {Kind: Kill, Select: Selection{State: "asleep"}},
		{Kind: Kill, Select: Selection{Workload: "batch"}, Grace: Duration(time.Hour)}, {Kind: Kill, Select: Selection{PIDs: make([]int, 1001)}},
		{Kind: Pause, Workload: "batch", For: Duration(25 * time.Hour)}, {Kind: Pause, Workload: "batch", For: -1},
		{Kind: Pause, Workload: "batch", Reason: strings.Repeat("x", 501)}, {Kind: Pause, Workload: "batch", Reason: "a\x1b[31m"},
		{Kind: Pause, Workload: "batch", Reason: "\xff"}, {Kind: Run}, {Kind: Undo},
	} {
		b.refused(t, boss, o, Wrong)
	}
	b.refused(t, boss, Order{Kind: Pause, Workload: "nope"}, Unknown)
	b.refused(t, boss, Order{Kind: Undo, Action: "nope"}, Unknown)
	b.refused(t, boss, Order{Kind: Run, Command: "nope"}, Unknown)
	if got := b.noted(); len(got) != 25 || slices.ContainsFunc(got, func(kind string) bool { return kind != "action.refused" }) {
		t.Errorf("%d events %v", len(got), got)
	}
}

// TestRolesAndScopes: deny by default.
func TestRolesAndScopes(t *testing.T) {
	b := open(t)
	pause, kill := Order{Kind: Pause, Workload: "batch"}, Order{Kind: Kill, Select: Selection{Workload: "batch"}}
	direct := Order{Kind: Terminate, Server: "main", Select: Selection{User: "worker"}}
	run := Order{Kind: Run, Command: "hello"}
	b.refused(t, Caller{Who: "zero"}, pause, Forbidden)
	b.refused(t, Caller{Who: "viewer", Role: Viewer}, kill, Forbidden)
	b.refused(t, Caller{Who: "operator", Role: Operator}, direct, Forbidden)
	b.refused(t, Caller{Who: "viewer", Role: Viewer}, run, Forbidden)
	narrow := Caller{Who: "narrow", Role: Operator, Scope: []string{"pause:bat*", "resume"}}
	b.refused(t, narrow, kill, Forbidden)
	b.refused(t, narrow, Order{Kind: Pause, Workload: "api"}, Forbidden)
	b.refused(t, narrow, run, Forbidden)
	if len(b.List()) > 0 {
		t.Errorf("something was done: %+v", b.List())
	}
	for _, o := range []Order{pause, {Kind: Resume, Workload: "batch"}} {
		if _, err := b.Do(t.Context(), narrow, o); err != nil {
			t.Errorf("in its scope: %v", err)
		}
	}
	if a, err := b.Do(t.Context(), Caller{Who: "operator", Role: Operator}, run); err != nil || a.Output != "hello\n" {
		t.Errorf("an operator's command: %+v, %v", a, err)
	}
}

// TestUndoOutsideScope: who may not pause a workload may not end its pause either.
func TestUndoOutsideScope(t *testing.T) {
	b := open(t)
	a := b.must(t, Order{Kind: Pause, Workload: "api"})
	narrow := Caller{Who: "narrow", Role: Operator, Scope: []string{"pause:batch"}}
	b.refused(t, narrow, Order{Kind: Undo, Action: a.ID}, Forbidden)
	if len(b.Standing().Pauses) != 1 {
		t.Error("it was undone")
	}
	mine := b.must(t, Order{Kind: Pause, Workload: "batch"})
	if _, err := b.Do(t.Context(), narrow, Order{Kind: Undo, Action: mine.ID}); err != nil {
		t.Error(err)
	}
}
