package console

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/internal/proxy"
)

// fakeContained shows three holders of two statements.
type fakeContained struct {
	proxy.Containment
	facts *fakeFacts
}

func (f *fakeContained) Holders(context.Context, bool) ([]proxy.Holder, error) {
	holder := func(pid int, print uint64, state string, ago time.Duration) proxy.Holder {
		h := proxy.Holder{Target: proxy.Target{Client: uint64(pid), PID: pid}, Workload: "batch", User: "worker", Database: "app", State: state,
			Fingerprint: print, SQL: "delete from sessions where expired < ?"}
		if state == "active" {
			h.QueryAt = now.Add(-ago)
		}
		return h
	}
	return answered(f.facts, []proxy.Holder{
		holder(1, 0xabc, "active", time.Minute), holder(2, 0xabc, "active", time.Second), holder(3, 0xabc, "idle in transaction", 0),
		holder(4, 0xdef, "active", 90*time.Second),
	})
}

func (f *fakeContained) Bans() []proxy.BanStat {
	return []proxy.BanStat{{Fingerprint: 0xdef, Max: 5, Running: 2, Refused: 17}, {Fingerprint: 0xabc}}
}

// fakeActions notes what it is ordered and answers with fixed deeds.
type fakeActions struct {
	orders []Order
	fail   error
}

func (f *fakeActions) Act(_ context.Context, user string, o Order) (Deed, error) {
	f.orders = append(f.orders, o)
	if f.fail != nil {
		return Deed{}, f.fail
	}
	d := fixedDeed
	d.Who, d.Action, d.Notes = user, o.Kind, []string{"a note"}
	d.Hits = []Hit{{PID: 7, Workload: "batch", User: "worker", Database: "app", State: "active", Fingerprint: printOf(0xabc), SQL: "select ?",
		Outcome: "cancelled", Since: now.Add(-time.Minute)}}
	return d, nil
}

func (f *fakeActions) Deeds() []Deed { return []Deed{fixedDeed} }

var fixedDeed = Deed{ID: "0a1b2c3d4e5f", Action: "pause", Subject: "batch", State: "stands", Who: "uid 0", Reason: "storm", At: now,
	Until: now.Add(time.Hour), Targets: 1, Guarded: 2}

// TestContainVerbs holds what each verb orders.
func TestContainVerbs(t *testing.T) {
	for sql, want := range map[string]Order{
		"PAUSE WORKLOAD batch": {Kind: "pause", Workload: "batch"},
		"pause workload batch queue cancel for 10m reason 'a storm'": {Kind: "pause", Workload: "batch", Queue: true, Cancel: true, For: 10 * time.Minute, Reason: "a storm"},
		"RESUME WORKLOAD batch REASON over":                          {Kind: "resume", Workload: "batch", Reason: "over"},
		"LIMIT WORKLOAD batch 5 FOR 1h DRYRUN":                       {Kind: "limit", Workload: "batch", Limit: 5, For: time.Hour, DryRun: true},
		"BAN QUERY 00000abc MAX 3":                                   {Kind: "ban", Fingerprint: "00000abc", Max: 3},
		"UNBAN QUERY 'abc'":                                          {Kind: "unban", Fingerprint: "abc"},
		"UNDO ACTION 0a1b":                                           {Kind: "undo", Action: "0a1b"},
		"KILL QUERIES WORKLOAD 'batch*' OLDER 5m STATE active GRACE 2s MAX 200": {Kind: "kill", Workload: "batch*", OlderThan: 5 * time.Minute,
			State: "active", Grace: 2 * time.Second, Max: 200},
		"KILL QUERIES PID 7 DRYRUN": {Kind: "kill", PID: 7, DryRun: true},
		"KILL QUERIES":              {Kind: "kill"}, // refused by whoever carries it out
	} {
		b := newBench(t, true)
		b.tags(sql)
		if len(b.actions.orders) != 1 || !reflect.DeepEqual(b.actions.orders[0], want) {
			t.Errorf("%s: ordered %+v, want %+v", sql, b.actions.orders, want)
		}
		if len(b.process.asked) > 0 {
			t.Errorf("%s: also asked %q", sql, b.process.asked)
		}
	}
}

func TestContainVerbsRefuse(t *testing.T) {
	for sql, code := range map[string]string{
		"PAUSE WORKLOAD":                     codeSyntax,
		"PAUSE WORKLOAD batch FOR":           codeSyntax,
		"PAUSE WORKLOAD batch FOR never":     codeArgument,
		"PAUSE WORKLOAD batch MAX 3":         codeSyntax,
		"LIMIT WORKLOAD batch":               codeSyntax,
		"LIMIT WORKLOAD batch many":          codeArgument,
		"LIMIT WORKLOAD batch 5 CANCEL":      codeSyntax,
		"KILL QUERIES PID 99999999999999999": codeArgument,
		"KILL QUERIES 'PID' 7":               codeSyntax,
		"BAN QUERY ;":                        codeSyntax,
	} {
		b := newBench(t, true)
		if r := b.failed(sql).report; r.Code != code {
			t.Errorf("%s: got %+v, want %s", sql, r, code)
		}
		if len(b.actions.orders) > 0 || len(b.process.asked) > 0 {
			t.Errorf("%s: ordered %+v, asked %q", sql, b.actions.orders, b.process.asked)
		}
	}
}

// TestContainVerbsDenied: who may only look may not act, and is shown no effect.
func TestContainVerbsDenied(t *testing.T) {
	for _, c := range containVerbs() {
		b := newBench(t, false)
		if r := b.failed(c.name + " a b").report; r.Code != codeRights {
			t.Errorf("%s: got %+v", c.name, r)
		}
		if len(b.actions.orders) > 0 {
			t.Errorf("%s: ordered %+v", c.name, b.actions.orders)
		}
	}
}

func TestContainRefusal(t *testing.T) {
	b := newBench(t, true)
	b.actions.fail = &Refused{"there is no workload \"x\"", "Workloads are api, batch."}
	if r := b.failed("PAUSE WORKLOAD x").report; r.Code != codeState || r.Message != `there is no workload "x"` || r.Hint != "Workloads are api, batch." {
		t.Errorf("got %+v", r)
	}
}

func TestContainGolden(t *testing.T) {
	for _, sql := range []string{"PAUSE WORKLOAD batch", "KILL QUERIES WORKLOAD batch"} {
		b := newBench(t, true)
		golden(t, strings.ToLower(strings.ReplaceAll(sql, " ", "_")), transcript(b.query(sql)))
	}
}

// TestKillBesideKill: KILL db stays PgBouncer's, whatever the database's name.
func TestKillBesideKill(t *testing.T) {
	b := newBench(t, true)
	b.tags(`KILL "queries"`)
	b.wasAsked("kill(queries)")
	b.tags("PAUSE app; KILL app")
	b.wasAsked("pause(app)", "kill(app)")
}

// TestVerbsAreTold: who had which verb run, how it went, and no secret.
func TestVerbsAreTold(t *testing.T) {
	b := newBench(t, true)
	var told []string
	b.console.Verbed = func(_ context.Context, user, verb string, err error) { told = append(told, user+": "+verb) }
	b.tags("PAUSE app; SET auth.password = 'hunter2'; SHOW POOLS; PAUSE WORKLOAD batch; BEGIN")
	if want := []string{"someone: PAUSE app", "someone: SET auth.password"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
