package main

import (
	"strings"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	if s := spreadOf([]float64{3, 1, 2}); s != (spread{1, 2, 3}) {
		t.Errorf("of three: %v", s)
	}
	if s := spreadOf([]float64{4, 1, 2, 3}); s.median != 2.5 {
		t.Errorf("of four: %v", s)
	}
	if s := spreadOf(nil); s != (spread{}) {
		t.Errorf("of none: %v", s)
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		ratio float64
		more  bool
		want  string
	}{{1, true, "no difference"}, {0.8, true, "**worse**"}, {1.3, true, "better"}, {0.8, false, "better"}, {1.3, false, "**worse**"}} {
		if got := judge(c.ratio, 0.9, 1.1, c.more); got != c.want {
			t.Errorf("judge(%v, more is better %v) = %s, want %s", c.ratio, c.more, got, c.want)
		}
	}
}

func TestRowsAndFindings(t *testing.T) {
	m := &measured{
		trouble: trouble{about: "the disk is full"}, stay: time.Minute,
		without: figures{tps: []float64{100, 110, 90}, p99: []float64{2, 2.2, 1.8}}, with: figures{tps: []float64{50}, p99: []float64{2.1}},
		took: []time.Duration{1540 * time.Millisecond}, seen: []string{"3 events waited"}, last: finding{Key: "record/log", Summary: "it is full"},
	}
	var b strings.Builder
	m.rows(&b)
	m.findings(&b)
	for _, want := range []string{"| TPS | 100 (90.00 – 110) | 50.00 (50.00 – 50.00) | 3, 1 | 0.50 | 0.90 – 1.10 | **worse** |", "| 1.05 | 0.90 – 1.10 | no difference |", "after 1.5s, `record/log`: it is full. At the end 3 events waited."} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range []string{"-seconds 2", "-rounds 0", "-minutes 0", "-rate 0"} {
		if _, err := parseFlags(strings.Fields(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
