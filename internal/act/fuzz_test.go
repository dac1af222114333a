package act

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzOrder: whatever an order says, checking and previewing it ends in a refusal
// or an order within bounds, and never with somebody hit who was not selected.
func FuzzOrder(f *testing.F) {
	for _, seed := range []string{
		`{"kind":"kill","select":{"workload":"bat*","older_than":"5m"}}`, `{"kind":"ban","fingerprint":"ab","max":-1}`,
		`{"kind":"pause","workload":"batch","for":"9223372036854775807ns"}`, `{"kind":"terminate","select":{"pids":[1,-1,0]}}`, `{}`,
		`{"kind":"kill","select":{"workload":"[","state":"idle in transaction"}}`, `{"kind":"undo","action":"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	rules := &Rules{For: time.Hour, Longest: 24 * time.Hour, MaxTargets: 500, Workloads: []string{"batch"}}
	crowd := append(holders(3, "batch"), holders(3, "api")...)
	crowd[4].Guarded = "operator"
	f.Fuzz(func(t *testing.T, text []byte) {
		var o Order
		if json.Unmarshal(text, &o) != nil || o.check(rules) != nil {
			return
		}
		if o.Kind.stands() && (o.For <= 0 || time.Duration(o.For) > rules.Longest) {
			t.Errorf("it would stand for %v", time.Duration(o.For))
		}
		if time.Duration(o.Grace) <= 0 || time.Duration(o.Grace) > maxGrace || strings.ContainsAny(o.Reason, "\x00\n\x1b") {
			t.Errorf("out of bounds: %+v", o)
		}
		_ = o.Names()
		if o.Kind != Kill && o.Kind != Terminate {
			return
		}
		if o.Select.empty() {
			t.Error("a selection of nothing passed")
		}
		hits, _ := o.Select.Pick(crowd, time.Now())
		for i := range hits {
			h := &hits[i]
			if !globbed(o.Select.Workload, h.Workload) || !globbed(o.Select.User, h.User) || h.Guarded != "" && len(o.Select.PIDs) == 0 {
				t.Errorf("%+v hits %+v", o.Select, h)
			}
		}
	})
}
