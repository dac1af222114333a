package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	rounds, seconds, clients, rate int
	minutes                        float64
	only                           string
	write                          bool
	args                           []string
}

func parseFlags(args []string) (settings, error) {
	s := settings{args: args}
	f := flag.NewFlagSet("bench-trouble", flag.ContinueOnError)
	f.IntVar(&s.rounds, "rounds", 3, "how often the disk fills and the server goes away")
	f.IntVar(&s.seconds, "seconds", 5, "seconds of a slice; at least 3")
	f.Float64Var(&s.minutes, "minutes", 1, "how long the alarms' endpoint hangs, in one stretch")
	f.IntVar(&s.clients, "clients", 16, "pgbench clients")
	f.IntVar(&s.rate, "rate", 2000, "transactions a second of the slices whose p99 is taken")
	f.StringVar(&s.only, "only", "", "one trouble: disk, server or endpoint")
	f.BoolVar(&s.write, "write", false, "write the report to "+reportFile)
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if s.rounds < 1 || s.seconds < 3 || s.minutes <= 0 || s.clients < 1 || s.rate < 1 {
		return s, errors.New("-rounds, -clients, -rate and -minutes must be above 0, -seconds at least 3")
	}
	return s, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench-trouble:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	s, err := parseFlags(args)
	if err != nil {
		return err
	}
	r, err := newRig(s)
	if err != nil {
		return err
	}
	began := time.Now()
	text, err := r.report(ctx, began)
	fmt.Print(text) // what was measured, even if something went wrong at the end
	if err = errors.Join(err, r.close()); err != nil {
		return err
	}
	if s.write {
		return os.WriteFile(reportFile, []byte(text), 0o644)
	}
	return nil
}

// report measures every trouble and says what was seen.
func (r *rig) report(ctx context.Context, began time.Time) (string, error) {
	var b strings.Builder
	r.heading(&b, began)
	var found strings.Builder
	for _, t := range r.troubles() {
		if r.only != "" && r.only != t.name {
			continue
		}
		m, err := r.measure(ctx, t)
		if err != nil {
			return "", fmt.Errorf("%s: %w", t.name, err)
		}
		m.rows(&b)
		m.findings(&found)
	}
	fmt.Fprintf(&b, "\n%s\n", found.String())
	err := r.chain(&b)
	return b.String(), err
}
