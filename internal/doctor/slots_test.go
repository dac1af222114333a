package doctor

import (
	"strings"
	"testing"
)

// TestArithmetic: what the server has against what the config promises.
func TestArithmetic(t *testing.T) {
	for name, test := range map[string]struct {
		s    Server
		k    stock
		want []string // status check found
	}{
		"report 001": {Server{Name: "m", Configured: 85, OperatorSlots: 3, Pools: []Pool{{"app", "app", 85}}}, stock{85, 3, 0},
			[]string{"fail max_connections 85 are promised, the server has 85 − 3 reserved = 82", "fail pool of app one pool may want 85, and all pools share 79"}},
		"auto": {Server{Name: "m", OperatorSlots: 3, Pools: []Pool{{"app", "app", 20}}}, stock{100, 3, 7},
			[]string{"ok max_connections auto: 100 − 3 reserved = 97", "ok pools one pool of each of the 1 databases may want 20 of 94"}},
		"crowded": {Server{Name: "m", Configured: 90, Pools: []Pool{{"a", "a", 50}, {"b", "b", 50}}}, stock{100, 3, 20},
			[]string{"warn max_connections 90 are promised of 100 − 3 reserved = 97, and 20", "warn pools one pool of each of the 2 databases would want 100, and all share 90"}},
		"all for operators": {Server{Name: "m", Configured: 3, OperatorSlots: 3}, stock{100, 3, 0}, []string{"ok max_connections", "fail operator_slots 3 leave nothing of 3", "ok pools"}},
		"limit of nothing": {Server{Name: "m", Configured: 50, Workloads: []Workload{{"w", 1, 51}, {"v", 1, 50}}}, stock{100, 3, 0},
			[]string{"ok max_connections", "ok pools", "warn workload w"}},
		"tiny server": {Server{Name: "m"}, stock{4, 4, 9}, []string{"ok max_connections auto: 4 − 4 reserved = 0", "fail operator_slots", "ok pools"}},
	} {
		c := &chart{}
		test.s.sharing(c, test.s.budget(c, test.k))
		if len(c.results) != len(test.want) {
			t.Errorf("%s: %+v", name, c.results)
			continue
		}
		for i, r := range c.results {
			if got := string(r.Status) + " " + r.Check + " " + r.Found; !strings.HasPrefix(got, test.want[i]) {
				t.Errorf("%s: %q, want %q", name, got, test.want[i])
			}
		}
	}
}
