package node

import (
	"testing"
	"time"

	"spillway/internal/detect"
	"spillway/internal/sample"
)

func TestChangeText(t *testing.T) {
	order := map[string]any{"order": map[string]any{"kind": "pause", "reason": "it leaks"}, "subject": "data-sync", "who": "alice"}
	for _, one := range []struct {
		event event
		want  string
	}{
		{event{Kind: "action.applied", Body: order}, "pause applied data-sync by alice (it leaks)"},
		{event{Kind: "change.config", Body: map[string]any{"text": "config: pool.size"}}, "config: pool.size"},
		{event{Kind: "sweep.started", Body: map[string]any{"table": "public.sessions"}}, "sweep.started public.sessions"},
		{event{Kind: "change.noted", Body: func() {}}, "change.noted"},
		{event{Kind: "action.begun", Body: order}, ""},
		{event{Kind: "sweep.braked"}, ""},
	} {
		if got, ok := changeText(one.event); got != one.want || ok != (one.want != "") {
			t.Errorf("%s: %q", one.event.Kind, got)
		}
	}
}

func TestNumbersAreRatesOfTheWorkload(t *testing.T) {
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	frame := func(at time.Time, transactions, failed uint64, slow uint64) *sample.Frame {
		h := sample.Histogram{Bounds: []float64{0.1, 1}, Counts: []uint64{transactions - slow, slow, 0}}
		return &sample.Frame{At: at, Proxy: &sample.Proxy{At: at, Hosts: []sample.Host{{Name: "main", Usable: 10, Busy: 3}},
			Workloads: []sample.Workload{{Host: "main", Name: "api", Count: sample.Count{Transactions: transactions, Failed: failed, Transaction: h}}, {Host: "main"}}}}
	}
	before, now := frame(at, 1000, 5, 0), frame(at.Add(2*time.Second), 1100, 7, 50)
	got := numbersOf(now, before)
	for name, want := range map[string]float64{"host/main/held": 3, "workload/main/api/transactions_per_second": 50, "workload/main/api/failed_per_second": 1, "workload/main/api/p99_seconds": 1} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if _, known := numbersOf(now, nil)["workload/main/api/transactions_per_second"]; known {
		t.Error("a rate without a frame before")
	}
	if _, known := numbersOf(frame(at.Add(3*time.Second), 10, 0, 0), now)["workload/main/api/p99_seconds"]; known {
		t.Error("a rate over a restart of the counts")
	}
}

// TestOthersFindingsAreInTheVerdict: what jobs, sweeps and foreign monitors find
// counts as much as what the detectors do.
func TestOthersFindingsAreInTheVerdict(t *testing.T) {
	d := &watchDesk{others: map[string]finding{}, engine: detect.New(detect.Defaults(), nil), own: map[string]detect.Finding{}}
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	d.engine.Look(&sample.Frame{At: at, Region: "r", Proxy: &sample.Proxy{At: at}})
	d.heard(finding{Key: "job-late/cleanup", Detector: "job-late", Level: "page", Summary: "job cleanup has not completed for 3 days", Since: at, At: at})
	if v := d.judged(); v.Level != detect.Page || v.Sentence != "r job cleanup has not completed for 3 days" {
		t.Errorf("%+v", v)
	}
	d.heard(finding{Key: "job-late/cleanup", Cleared: true})
	if v := d.judged(); v.Level != detect.None {
		t.Errorf("%+v", v)
	}
	for i := range maxOthers + 100 {
		d.heard(finding{Key: string(rune(i))})
	}
	if len(d.others) != maxOthers {
		t.Errorf("%d findings are kept", len(d.others))
	}
}
