package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	rounds, seconds, scale, poolSize, idle int
	cells, poolers, base, json             string
	unixServer, write, list                bool
}

func parseFlags(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "rounds of every cell; each pooler has one turn a round")
	f.IntVar(&o.seconds, "seconds", 4, "seconds of a turn, the first of which is warm-up; at least 3")
	f.StringVar(&o.cells, "cells", "", "run only the cells whose name matches this regular expression")
	f.StringVar(&o.poolers, "poolers", "pgbouncer,spillway-epoll,spillway-uring", "who runs: direct, pgbouncer, spillway-epoll, ...; name@BINARY runs that spillway, name+FILE adds FILE to its config")
	f.StringVar(&o.base, "base", "", "the pooler that ratios are to; default: the first of -poolers")
	f.IntVar(&o.scale, "scale", 20, "pgbench scale")
	f.IntVar(&o.poolSize, "pool", 20, "servers per pool")
	f.IntVar(&o.idle, "idle", 5000, "clients of the memory cell")
	f.BoolVar(&o.unixServer, "unix", false, "poolers reach PostgreSQL over its unix socket rather than TCP")
	f.StringVar(&o.json, "o", "", "write every sample as JSON to this file")
	f.BoolVar(&o.write, "write", false, "write the report to docs/benchmarks.md")
	f.BoolVar(&o.list, "list", false, "list the cells and stop")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.seconds < 3 {
		return o, errors.New("-seconds must be at least 3: the first is warm-up")
	}
	if o.base == "" {
		o.base, _, _ = strings.Cut(o.poolers, ",")
	}
	return o, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	cells, err := chosenCells(o)
	if err != nil {
		return err
	}
	if o.list {
		for _, c := range cells {
			fmt.Println(c.Name)
		}
		return nil
	}
	rig, err := newRig(o)
	if err != nil {
		return err
	}
	report := newReport(o, args, rig)
	report.measure(ctx, rig, cells)
	return errors.Join(report.publish(os.Stdout), rig.close())
}

func chosenCells(o options) ([]Cell, error) {
	wanted, err := regexp.Compile(o.cells)
	if err != nil {
		return nil, fmt.Errorf("parse -cells: %w", err)
	}
	var cells []Cell
	for _, c := range allCells(o) {
		if wanted.MatchString(c.Name) {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return nil, fmt.Errorf("no cell matches %q; -list shows all", o.cells)
	}
	return cells, nil
}

// measure runs all turns of all cells. A turn that fails is reported in its
// place; the rest goes on.
func (r *report) measure(ctx context.Context, rig *rig, cells []Cell) {
	begun := time.Now()
	for i, c := range cells {
		for round := range r.options.rounds {
			for turn := range rig.contenders {
				if ctx.Err() != nil {
					return
				}
				p := rig.contenders[(turn+round)%len(rig.contenders)]
				r.add(c, round, p, rig.turn(ctx, c, p))
			}
		}
		fmt.Fprintf(os.Stderr, "%s  %d/%d  %s\n", time.Since(begun).Round(time.Second), i+1, len(cells), r.line(c))
	}
}
