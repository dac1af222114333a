package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"spillway/internal/pgtest"
)

// foregroundScale is pgbench's scale: large enough that branches are no queue.
const foregroundScale = 20

// loaded measures every method beside a steady load through the proxy.
func (r *rig) loaded(ctx context.Context) error {
	if _, err := r.server.Query("CREATE DATABASE fore"); err != nil {
		return err
	}
	pgbench, err := pgtest.Binary("pgbench")
	if err != nil {
		return err
	}
	fill := exec.CommandContext(ctx, pgbench, "-i", "-q", "-s", strconv.Itoa(foregroundScale), r.server.URL(pgtest.Login{Database: "fore"}))
	if out, err := fill.CombinedOutput(); err != nil {
		return fmt.Errorf("fill pgbench: %w: %s", err, out)
	}
	fmt.Printf("\nbeside TPC-B at %d transactions/s from %d clients through the proxy; p99 in ms, at most %s each\n\n", r.rate, r.clients, r.limit)
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "method\trows/s\tp50 before\tduring\tafter\tp99 before\tduring\tafter\tduring/baseline\tsweep is")
	var sweep float64
	for _, m := range methods() {
		if r.only != "" && r.only != m.name {
			continue
		}
		if err := r.beside(ctx, pgbench, m, &sweep, w); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) beside(ctx context.Context, pgbench string, m method, sweep *float64, w *tabwriter.Writer) error {
	if err := r.fresh("bench"); err != nil {
		return err
	}
	// What the copy has written is not the foreground's burden.
	if err := r.long("postgres", "CHECKPOINT"); err != nil {
		return err
	}
	pooler, err := pgtest.StartPooler(pgtest.SpillwayKind("", "transaction"), pgtest.PoolerConfig{
		Server: r.server, Users: map[string]string{"postgres": ""},
	})
	if err != nil {
		return err
	}
	defer func() {
		if err := pooler.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench-sweep: close spillway:", err)
		}
	}()
	fore, err := startForeground(ctx, pgbench, r, pooler.URL(pgtest.Login{Database: "fore"}))
	if err != nil {
		return err
	}
	defer fore.stop()
	settle := 3 * time.Second // pgbench's first transactions find cold pools
	if err := wait(ctx, settle+r.baseline); err != nil {
		return err
	}
	from := time.Now()
	limit, cancel := context.WithTimeout(ctx, r.limit)
	var rows int64
	if m.name == "sweep" {
		rows, err = r.byNode(limit, pooler)
	} else {
		rows, err = m.run(limit, r, "bench")
	}
	cancel()
	if err != nil {
		return err
	}
	to := time.Now()
	if err := wait(ctx, r.baseline); err != nil {
		return err
	}
	end := time.Now()
	latencies, err := fore.read()
	if err != nil {
		return err
	}
	before, during, after := latencies.between(from.Add(-r.baseline), from), latencies.between(from, to), latencies.between(to, end)
	rate := float64(rows) / to.Sub(from).Seconds()
	if m.name == "sweep" {
		*sweep = rate
	}
	times := "-"
	if rate > 0 {
		times = fmt.Sprintf("%.1f ×", *sweep/rate)
	}
	base := append(slices.Clone(before), after...)
	fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%+.0f %%\t%s\n", m.about, rate, before.at(0.5), during.at(0.5), after.at(0.5),
		before.at(0.99), during.at(0.99), after.at(0.99), 100*(during.at(0.99)/base.at(0.99)-1), times)
	return nil
}

// byNode lets the running node sweep, which sees its own clients.
func (r *rig) byNode(ctx context.Context, pooler *pgtest.Pooler) (int64, error) {
	socket := filepath.Join(pooler.Dir, "state", "admin.sock")
	args := []string{"--socket", socket, "--database", "bench", "-o", "json"}
	begun := make(chan error, 1)
	var rows int64
	go func() {
		var err error
		rows, err = r.command(context.Background(), append([]string{"sweep", "run", "public.sessions", "--where", condition, "--yes"}, args...)...)
		begun <- err
	}()
	select {
	case err := <-begun:
		return rows, err
	case <-ctx.Done():
	}
	if out, err := exec.Command(r.binary, append([]string{"sweep", "pause", "public.sessions"}, args...)...).CombinedOutput(); err != nil {
		// The table's name is quoted in the list.
		if out, err = exec.Command(r.binary, append([]string{"sweep", "pause", `"public"."sessions"`}, args...)...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("pause: %w: %s", err, out)
		}
	} else {
		_ = out
	}
	return rows, errors.Join(<-begun)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// foreground is a running pgbench that logs every transaction.
type foreground struct {
	cmd    *exec.Cmd
	folder string
	out    bytes.Buffer
	ended  bool
}

func startForeground(ctx context.Context, pgbench string, r *rig, url string) (*foreground, error) {
	folder, err := os.MkdirTemp("", "bench-sweep")
	if err != nil {
		return nil, err
	}
	f := &foreground{folder: folder}
	f.cmd = exec.CommandContext(ctx, pgbench, "-n", "-M", "extended", "-c", strconv.Itoa(r.clients), "-R", strconv.Itoa(r.rate), "-T", "36000", "-l", "--log-prefix", "log", url)
	f.cmd.Dir, f.cmd.Stdout, f.cmd.Stderr = folder, &f.out, &f.out
	f.cmd.Cancel = func() error { return f.cmd.Process.Signal(os.Interrupt) }
	return f, f.cmd.Start()
}

func (f *foreground) stop() {
	if !f.ended {
		f.ended = true
		_ = f.cmd.Process.Signal(os.Interrupt) // pgbench writes what it has
		_ = f.cmd.Wait()                       // an interrupt is an error to it
	}
	_ = os.RemoveAll(f.folder)
}

// sample is one transaction: when it ended, and how long it took from when it
// was due.
type sample struct {
	at time.Time
	ms float64
}

type samples []sample

// latencies sorts as numbers do.
type latencies []float64

func (f *foreground) read() (samples, error) {
	f.ended = true
	_ = f.cmd.Process.Signal(os.Interrupt) // ends it with its log written
	_ = f.cmd.Wait()
	files, err := filepath.Glob(filepath.Join(f.folder, "log*"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("pgbench left no log: %w: %s", err, &f.out)
	}
	var all samples
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		scan := bufio.NewScanner(file)
		for scan.Scan() {
			if s, ok := parse(scan.Text()); ok {
				all = append(all, s)
			}
		}
		file.Close()
		if err := scan.Err(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// parse reads: client, number, µs, script, epoch, µs of it, schedule lag.
func parse(line string) (sample, bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 {
		return sample{}, false
	}
	took, err1 := strconv.ParseFloat(fields[2], 64)
	seconds, err2 := strconv.ParseInt(fields[4], 10, 64)
	micros, err3 := strconv.ParseInt(fields[5], 10, 64)
	return sample{time.Unix(seconds, micros*1000), took / 1000}, errors.Join(err1, err2, err3) == nil
}

func (s samples) between(from, to time.Time) latencies {
	var l latencies
	for _, one := range s {
		if !one.at.Before(from) && one.at.Before(to) {
			l = append(l, one.ms)
		}
	}
	return l
}

func (l latencies) at(q float64) float64 {
	if len(l) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
