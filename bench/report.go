package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// report collects every sample and prints medians and ratios.
type report struct {
	options options
	args    []string
	machine machine
	names   []string // contenders, in the order of -poolers
	kinds   map[string]string
	cells   []Cell
	turns   map[string]map[string][]Sample // cell, contender → one sample per round
	begun   time.Time
}

func newReport(o options, args []string, r *rig) *report {
	rep := &report{options: o, args: args, machine: describeMachine(r), turns: map[string]map[string][]Sample{}, kinds: map[string]string{}, begun: time.Now()}
	for _, c := range r.contenders {
		rep.names = append(rep.names, c.Name)
		rep.kinds[c.Name] = c.Kind.Driver
	}
	return rep
}

// add files the sample of one turn. Rounds come in order.
func (r *report) add(c Cell, round int, p *contender, s Sample) {
	if r.turns[c.Name] == nil {
		r.turns[c.Name] = map[string][]Sample{}
		r.cells = append(r.cells, c)
	}
	r.turns[c.Name][p.Name] = append(r.turns[c.Name][p.Name], s)
	if s.Reason != "" && round == 0 {
		fmt.Fprintf(os.Stderr, "  %s, %s: %s\n", c.Name, p.Name, s.Reason)
	}
}

// figure picks one number of a sample.
type figure func(Sample) float64

func tps(s Sample) float64    { return s.TPS }
func avg(s Sample) float64    { return s.AvgMS }
func p50(s Sample) float64    { return s.P50MS }
func p99(s Sample) float64    { return s.P99MS }
func pooler(s Sample) float64 { return s.PoolerUS }
func total(s Sample) float64  { return s.TotalUS }
func idleKB(s Sample) float64 { return s.IdleKB }

// median of a contender's figure over the rounds; false if there is none.
func (r *report) median(cell, name string, f figure) (float64, bool) {
	var all []float64
	for _, s := range r.turns[cell][name] {
		if s.Reason == "" {
			all = append(all, f(s))
		}
	}
	return median(all)
}

// ratio is the median over the rounds of the contender's figure to the base's
// in the same round; false if there is none. instead is true where the base's
// figures are another cell's.
func (r *report) ratio(c Cell, name string, f figure) (value float64, instead, ok bool) {
	base := r.turns[c.Name][r.options.base]
	if c.Instead != "" && !measured(base) {
		base, instead = r.turns[c.Instead][r.options.base], true
	}
	var all []float64
	for round, s := range r.turns[c.Name][name] {
		if round < len(base) && s.Reason == "" && base[round].Reason == "" && f(base[round]) > 0 {
			all = append(all, f(s)/f(base[round]))
		}
	}
	value, ok = median(all)
	return value, instead, ok
}

func measured(turns []Sample) bool {
	return slices.ContainsFunc(turns, func(s Sample) bool { return s.Reason == "" })
}

func median(all []float64) (float64, bool) {
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	mid := len(all) / 2
	if len(all)%2 == 0 {
		return (all[mid-1] + all[mid]) / 2, true
	}
	return all[mid], true
}

// reason is why a contender has no figures in a cell.
func (r *report) reason(cell, name string) string {
	for _, s := range r.turns[cell][name] {
		if s.Reason != "" {
			return s.Reason
		}
	}
	return "not run"
}

// line sums a cell up for the terminal while the rest runs.
func (r *report) line(c Cell) string {
	var b strings.Builder
	b.WriteString(c.Name)
	for _, name := range r.names {
		if v, ok := r.median(c.Name, name, idleKB); ok && v != 0 {
			fmt.Fprintf(&b, "  %s %.2f kB", name, v)
			continue
		}
		t, ok := r.median(c.Name, name, tps)
		if !ok {
			fmt.Fprintf(&b, "  %s –", name)
			continue
		}
		cpu, _ := r.median(c.Name, name, pooler)
		tail, _ := r.median(c.Name, name, p99)
		fmt.Fprintf(&b, "  %s %.0f/s %.1fµs p99 %.2fms", name, t, cpu, tail)
	}
	return b.String()
}

// reportFile is where -write puts the report.
const reportFile = "docs/benchmarks.md"

// publish prints the report and writes what the flags ask for.
func (r *report) publish(out io.Writer) error {
	text := r.markdown()
	_, err := io.WriteString(out, text)
	if r.options.write {
		err = errors.Join(err, os.MkdirAll("docs", 0o755), os.WriteFile(reportFile, []byte(text), 0o644))
	}
	if r.options.json != "" {
		err = errors.Join(err, r.writeJSON())
	}
	return err
}

func (r *report) writeJSON() error {
	text, err := json.MarshalIndent(map[string]any{
		"machine": r.machine, "date": r.begun.UTC(), "args": r.args, "base": r.options.base, "cells": r.turns,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode samples: %w", err)
	}
	return os.WriteFile(r.options.json, append(text, '\n'), 0o644)
}
