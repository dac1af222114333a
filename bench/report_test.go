package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func sample(v float64) Sample { return Sample{TPS: v, P99MS: v, PoolerUS: v} }

func TestRatioIsWithinTheRound(t *testing.T) {
	r := &report{options: options{base: "a"}, names: []string{"a", "b"}, turns: map[string]map[string][]Sample{
		"x": {"a": {sample(1), sample(10), sample(100)}, "b": {sample(2), sample(20), sample(200)}},
	}}
	if v, instead, ok := r.ratio(Cell{Name: "x"}, "b", tps); v != 2 || instead || !ok {
		t.Errorf("ratio = %v, %v, %v; want 2, false, true", v, instead, ok)
	}
}

func TestRatioFallsBackToAnotherCell(t *testing.T) {
	r := &report{options: options{base: "a"}, names: []string{"a", "b"}, turns: map[string]map[string][]Sample{
		"prepared": {"a": {{Reason: "cannot"}}, "b": {sample(3)}},
		"extended": {"a": {sample(2)}},
	}}
	v, instead, ok := r.ratio(Cell{Name: "prepared", Instead: "extended"}, "b", tps)
	if v != 1.5 || !instead || !ok {
		t.Errorf("ratio = %v, %v, %v; want 1.5, true, true", v, instead, ok)
	}
}

func TestRatioLeavesOutFailedTurns(t *testing.T) {
	r := &report{options: options{base: "a"}, turns: map[string]map[string][]Sample{
		"x": {"a": {sample(1), sample(1)}, "b": {{Reason: "broke"}, sample(4)}},
	}}
	if v, _, ok := r.ratio(Cell{Name: "x"}, "b", tps); v != 4 || !ok {
		t.Errorf("ratio = %v, %v; want 4, true", v, ok)
	}
}

func TestMissedNamesTheGoal(t *testing.T) {
	r := &report{options: options{base: "pgbouncer"}, kinds: map[string]string{"spillway-uring": "uring"}, turns: map[string]map[string][]Sample{
		"x": {"pgbouncer": {sample(100)}, "spillway-uring": {sample(90)}},
	}}
	c := Cell{Name: "x", Goal: Goal{TPS: 1.15, CPUEpoll: 1, CPUUring: 0.7, P99: 1}}
	if got := r.missed(c, "spillway-uring"); got != "TPS ≥ 1.15, CPU ≤ 0.70" {
		t.Errorf("missed = %q", got)
	}
}

func TestLatenciesLeaveOutWarmUp(t *testing.T) {
	dir := t.TempDir()
	log := "0 1 90000 0 100 0\n0 2 1000 0 101 500\n1 1 3000 0 102 0\n1 2 30"
	if err := os.WriteFile(filepath.Join(dir, "t.1"), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	var s Sample
	if err := s.readLatencies(dir, time.Unix(101, 0)); err != nil {
		t.Fatal(err)
	}
	if s.AvgMS != 2 || s.P50MS != 3 || s.P99MS != 3 {
		t.Errorf("avg, p50, p99 = %v, %v, %v; want 2, 3, 3", s.AvgMS, s.P50MS, s.P99MS)
	}
}

func TestSummary(t *testing.T) {
	good := "number of transactions actually processed: 42\nnumber of failed transactions: 0 (0.000%)\ntps = 10.500000 (without initial connection time)\n"
	if s, err := readSummary(good); err != nil || s.TPS != 10.5 || s.Count != 42 {
		t.Errorf("summary = %+v, %v", s, err)
	}
	for _, bad := range []string{"", strings.Replace(good, ": 0 (", ": 3 (", 1)} {
		if _, err := readSummary(bad); err == nil {
			t.Errorf("readSummary(%.40q) succeeded", bad)
		}
	}
}

func TestOlderThan(t *testing.T) {
	for version, want := range map[string]bool{"1.18.0": true, "1.21.0": false, "2.0": false, "of unknown version": false} {
		if got := olderThan(version, 1, 21); got != want {
			t.Errorf("olderThan(%q) = %v, want %v", version, got, want)
		}
	}
}

func TestCellNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range allCells(options{idle: 5000}) {
		if seen[c.Name] {
			t.Errorf("two cells named %s", c.Name)
		}
		seen[c.Name] = true
		if c.Instead != "" && !seen[c.Instead] {
			t.Errorf("%s stands in for by %s, which does not run before it", c.Name, c.Instead)
		}
	}
}
