package node

import (
	"reflect"
	"testing"
	"time"

	"spillway/internal/act"
	"spillway/internal/proxy"
	"spillway/internal/schedule"
)

func TestOverlay(t *testing.T) {
	policy := &proxy.Policy{Bans: []proxy.Ban{{Fingerprint: 1}}, Workloads: []proxy.Workload{
		{Name: "api", Mode: schedule.Enforce, Share: 50, Limit: 70, QueueMax: 5, StatementTimeout: time.Second},
		{Name: "batch", Mode: schedule.Warn, Share: 5, Limit: 8, QueueMax: 5, StatementTimeout: time.Second, LeakAfter: time.Minute, OnLeak: proxy.LeakReclaim},
	}}
	before := *policy
	before.Workloads = append([]proxy.Workload(nil), policy.Workloads...)
	if got := overlay(policy, &act.Standing{}); got != policy {
		t.Error("with nothing standing the policy is another one")
	}
	got := overlay(policy, &act.Standing{
		Pauses: map[string]act.StandingPause{"api": {Text: "by ann"}, "gone": {}},
		Limits: map[string]act.StandingLimit{"api": {Slots: 3}, "batch": {Slots: 2, Text: "by bob"}, "gone": {Slots: 1}},
		Bans:   []act.StandingBan{{Fingerprint: 2, Max: 4, Text: "by ann"}},
	})
	if !reflect.DeepEqual(&before, policy) {
		t.Error("the policy itself was changed")
	}
	api, batch := got.Workloads[0], got.Workloads[1]
	if api.Limit != 3 || api.Share != 50 || api.QueueMax != 5 || api.Pause != schedule.PauseRefuse || api.Note != "paused by ann" {
		t.Errorf("api is %+v", api)
	}
	if batch.Mode != schedule.Enforce || batch.Limit != 2 || batch.Note != "limited by bob" || batch.QueueMax != 0 || batch.StatementTimeout >= 0 || batch.OnLeak != proxy.LeakWarn || batch.Borrow >= 0 {
		t.Errorf("a limit brought other bounds of a workload that warns into force: %+v", batch)
	}
	if len(got.Bans) != 2 || got.Bans[1] != (proxy.Ban{Fingerprint: 2, Max: 4, Text: "Capped by ann."}) {
		t.Errorf("bans %+v", got.Bans)
	}
}
