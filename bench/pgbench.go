package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"spillway/bench/latency"
	"spillway/internal/pgtest"
)

// benchRun is one call of pgbench.
type benchRun struct {
	args    []string // script and mode
	clients int
	tls     bool
}

// connecting is how many seconds to add for opening the connections: pgbench
// counts them into -T.
func (b benchRun) connecting() int {
	each := time.Millisecond
	if b.tls {
		each = 5 * time.Millisecond
	}
	return int((time.Duration(b.clients) * each).Seconds())
}

// turnSlack is how much longer than asked a turn may take.
const turnSlack = 30 * time.Second

// pgbench runs one turn and reads its figures.
func (r *rig) pgbench(ctx context.Context, p *contender, b benchRun) (Sample, error) {
	path, err := pgtest.Binary("pgbench")
	if err != nil {
		return Sample{}, err
	}
	logs, err := os.MkdirTemp(r.dir, "log")
	if err != nil {
		return Sample{}, fmt.Errorf("make log folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(logs) }()
	span := r.options.seconds + b.connecting()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(span)*time.Second+turnSlack)
	defer cancel() // a pooler that forgets a client must not hold up the rest
	cmd := exec.CommandContext(ctx, path, append([]string{"-n", "-P", "1", "--log", "--log-prefix=" + filepath.Join(logs, "t"),
		"-T", strconv.Itoa(span), "-c", strconv.Itoa(b.clients), "-j", strconv.Itoa(min(2, b.clients))},
		append(b.args, database)...)...)
	cmd.Env = clientEnv(p.Host, p.Port, b.tls)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return Sample{}, fmt.Errorf("pipe pgbench: %w", err)
	}
	var stdout strings.Builder
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		return Sample{}, fmt.Errorf("start pgbench: %w", err)
	}
	w := &window{rig: r, contender: p}
	complaints := w.follow(stderr)
	if err := errors.Join(w.err, cmd.Wait()); err != nil {
		return Sample{}, fmt.Errorf("run pgbench: %w: %.500s", err, complaints)
	}
	s, err := readSummary(stdout.String())
	if err != nil {
		return s, fmt.Errorf("read pgbench's summary: %w: %.500s", err, complaints)
	}
	w.apply(&s)
	return s, s.readLatencies(logs, w.first.at)
}

// window is the part of a turn between the first progress line and the last.
// It leaves out connecting and warming up, which TLS and SCRAM make dear.
type window struct {
	rig         *rig
	contender   *contender
	first, last usage
	count       float64 // transactions from first to last
	err         error
}

var progress = regexp.MustCompile(`^progress: ([\d.]+) s, ([\d.]+) tps`)

// follow reads the progress lines as they come and returns the other lines.
func (w *window) follow(stderr io.Reader) string {
	var rest strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		m := progress.FindStringSubmatch(lines.Text())
		if m == nil {
			rest.WriteString(lines.Text() + "\n")
			continue
		}
		tps, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			w.err = errors.Join(w.err, err)
			continue
		}
		now, err := w.rig.usage(w.contender)
		if err != nil {
			w.err = errors.Join(w.err, err)
			continue
		}
		if w.first.at.IsZero() {
			w.first = now
		} else {
			w.count += tps * now.at.Sub(w.last.at).Seconds()
		}
		w.last = now
	}
	return rest.String()
}

func (w *window) apply(s *Sample) { s.perTransaction(w.first, w.last, w.count) }

var (
	tpsLine    = regexp.MustCompile(`(?m)^tps = ([\d.]+)`)
	countLine  = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	failedLine = regexp.MustCompile(`(?m)^number of failed transactions: ([1-9]\d*)`)
)

func readSummary(out string) (Sample, error) {
	var s Sample
	tps, count := tpsLine.FindStringSubmatch(out), countLine.FindStringSubmatch(out)
	if tps == nil || count == nil {
		return s, fmt.Errorf("no tps or count in %.300q", out)
	}
	if m := failedLine.FindStringSubmatch(out); m != nil {
		return s, fmt.Errorf("%s transactions failed", m[1])
	}
	var err error
	if s.TPS, err = strconv.ParseFloat(tps[1], 64); err != nil {
		return s, err
	}
	s.Count, err = strconv.Atoi(count[1])
	return s, err
}

// readLatencies reads pgbench's transaction logs. Transactions that ended before
// the window are left out.
func (s *Sample) readLatencies(dir string, from time.Time) error {
	all, err := latency.Read(dir, "t.")
	if err != nil {
		return err
	}
	s.latencies(latency.Between(all, from, time.Time{}))
	return nil
}

// latencies fills in the latency figures from all latencies in ms.
func (s *Sample) latencies(all []float64) {
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	s.AvgMS = sum / float64(len(all))
	s.P50MS, s.P99MS = latency.At(all, 0.50), latency.At(all, 0.99)
}
