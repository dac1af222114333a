package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"spillway/bench/latency"
	"spillway/internal/pgtest"
)

// figures are those of some slices of each kind, in the order they ran.
type figures struct {
	tps []float64 // as fast as it goes
	p99 []float64 // at a steady rate, in ms from when each was due
}

// pair runs one slice of each kind.
func (r *rig) pair(ctx context.Context, f *figures) error {
	tps, err := r.fast(ctx)
	if err != nil {
		return err
	}
	p99, err := r.paced(ctx)
	if err != nil {
		return err
	}
	f.tps, f.p99 = append(f.tps, tps), append(f.p99, p99)
	return nil
}

var tpsLine = regexp.MustCompile(`(?m)^tps = ([\d.]+)`)

// fast is how many transactions a second go through.
func (r *rig) fast(ctx context.Context) (float64, error) {
	out, err := r.pgbench(ctx, "")
	if err != nil {
		return 0, err
	}
	found := tpsLine.FindStringSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("pgbench says no tps: %s", out)
	}
	return strconv.ParseFloat(found[1], 64)
}

// paced is the p99 at the steady rate; the first second is warm-up.
func (r *rig) paced(ctx context.Context) (float64, error) {
	folder, err := os.MkdirTemp(r.dir, "log")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	began := time.Now()
	if _, err := r.pgbench(ctx, folder, "-R", strconv.Itoa(r.rate), "-l", "--log-prefix", "t"); err != nil {
		return 0, err
	}
	all, err := latency.Read(folder, "t")
	if err != nil {
		return 0, err
	}
	return latency.At(latency.Between(all, began.Add(time.Second), time.Time{}), 0.99), nil
}

// failedLine is what pgbench says of transactions that did not go through.
var failedLine = regexp.MustCompile(`(?m)^number of failed transactions: [1-9]|^pgbench: error`)

// pgbench runs one slice; a client that fails ends the benchmark.
func (r *rig) pgbench(ctx context.Context, folder string, more ...string) (string, error) {
	path, err := pgtest.Binary("pgbench")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.seconds)*time.Second+time.Minute)
	defer cancel()
	args := append([]string{"-n", "-S", "-c", strconv.Itoa(r.clients), "-j", strconv.Itoa(min(2, r.clients)), "-T", strconv.Itoa(r.seconds)}, more...)
	command := exec.CommandContext(ctx, path, append(args, r.node.URL(pgtest.Login{Database: database}))...)
	command.Dir = folder
	out, err := command.CombinedOutput()
	if err == nil && failedLine.Match(out) {
		err = errors.New("transactions failed")
	}
	if err != nil {
		return "", fmt.Errorf("pgbench: %w: %.2000s", err, out)
	}
	return string(out), nil
}
