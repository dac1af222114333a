package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"spillway/bench/latency"
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
	fmt.Fprintln(w, "method\trows/s\tp50 without\twith\tp99 without\twith\trise\twhile the host is quiet\tturn to rests\trest to rests\teach turn\tsweep is")
	var sweep float64
	for _, m := range methods() {
		if !r.picked(m) {
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
	watch := watchHost(ctx)
	defer watch.stop()
	settle := 10 * time.Second // pgbench's first transactions find cold pools and pages
	if err := wait(ctx, settle+r.baseline); err != nil {
		return err
	}
	began := time.Now().Add(-r.baseline)
	limit, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	var rows int64
	var turns []turn
	if m.name == "sweep" {
		rows, turns, err = r.byNode(ctx, pooler)
	} else {
		one := turn{from: time.Now()}
		rows, err = m.run(limit, r, "bench")
		one.to = time.Now()
		turns = []turn{one}
	}
	if err != nil {
		return err
	}
	if err := wait(ctx, r.baseline); err != nil {
		return err
	}
	end := time.Now()
	latencies, err := fore.read()
	if err != nil {
		return err
	}
	watch.stop()
	latencies.row(w, m, watch, rows, sweep, append([]turn{{to: began}}, append(turns, turn{from: end})...))
	return nil
}

// turn is when a method was at work.
type turn struct{ from, to time.Time }

// onset is left out at the begin of each turn and of each rest: a sweep logs in
// and looks around once an hour, not three times a minute.
const onset = time.Second

// row prints one method's line. turns begins and ends with one that bounds the
// time that is looked at.
func (s samples) row(w *tabwriter.Writer, m method, h *host, rows int64, sweep *float64, turns []turn) {
	between := []turn{{turns[0].to, turns[1].from}}
	var during []turn
	var busy time.Duration
	for i := 1; i < len(turns)-1; i++ {
		during = append(during, turn{turns[i].from.Add(onset), turns[i].to})
		between = append(between, turn{turns[i].to.Add(onset), turns[i+1].from})
		busy += turns[i].to.Sub(turns[i].from)
	}
	work, rests := s.each(during), s.each(between)
	rate := float64(rows) / busy.Seconds()
	if m.name == "sweep" {
		*sweep = rate
	}
	times := "-"
	if rate > 0 {
		times = fmt.Sprintf("%.2g ×", *sweep/rate)
	}
	with, without := slices.Sorted(slices.Values(slices.Concat(work...))), slices.Sorted(slices.Values(slices.Concat(rests...)))
	// Each turn against the rests around it, and each rest against those around
	// that: what comes out where nothing differs.
	var rises, control []float64
	for i, ms := range work {
		rises = append(rises, p99(ms)/p99(slices.Concat(rests[i:i+2]...)))
	}
	for i := 1; i < len(rests)-1; i++ {
		control = append(control, p99(rests[i])/p99(slices.Concat(rests[i-1], rests[i+1])))
	}
	var each []string
	for _, r := range rises {
		each = append(each, fmt.Sprintf("%+.0f", 100*(r-1)))
	}
	fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%+.0f %%\t%s\t%s\t%s\t%s\t%s\n", m.about, rate, latency.At(without, 0.5), latency.At(with, 0.5),
		latency.At(without, 0.99), latency.At(with, 0.99), 100*(latency.At(with, 0.99)/latency.At(without, 0.99)-1), h.quietly(s, between, during), mean(rises), mean(control), strings.Join(each, " "), times)
}

// draws is how many times turns are drawn for an interval.
const draws = 4000

// mean is the geometric mean of ratios as a rise, and the interval that holds 95
// of 100 means of as many ratios drawn from these (Efron's percentile bootstrap).
func mean(ratios []float64) string {
	if len(ratios) < 2 {
		return "-"
	}
	chance := rand.New(rand.NewPCG(1, 2)) // the same run is always told the same way
	of := func(pick func(i int) float64) float64 {
		sum := 0.0
		for i := range ratios {
			sum += math.Log(pick(i))
		}
		return 100 * (math.Exp(sum/float64(len(ratios))) - 1)
	}
	var found []float64
	for range draws {
		found = append(found, of(func(int) float64 { return ratios[chance.IntN(len(ratios))] }))
	}
	slices.Sort(found)
	return fmt.Sprintf("%+.1f %% (%+.0f to %+.0f)", of(func(i int) float64 { return ratios[i] }), found[draws/40], found[draws-1-draws/40])
}

// byNode lets the running node sweep, which sees its own clients, in turns.
func (r *rig) byNode(ctx context.Context, pooler *pgtest.Pooler) (rows int64, turns []turn, err error) {
	node := newNodeSweep(r, filepath.Join(pooler.Dir, "state", "admin.sock"))
	defer node.http.CloseIdleConnections()
	if err := node.run("public.sessions", "--where", condition, "--share", r.share, "--batch", r.batch.String(), "--yes", "--detach"); err != nil {
		return 0, nil, err
	}
	for i := range r.turns {
		one := turn{from: time.Now()}
		phase := ""
		if rows, phase, err = node.until(ctx, r.limit/time.Duration(r.turns)); err != nil {
			return rows, nil, err
		}
		one.to = time.Now()
		turns = append(turns, one)
		if phase == "done" || i == r.turns-1 {
			break
		}
		if err := wait(ctx, r.baseline); err != nil {
			return rows, nil, err
		}
		if err := node.post(ctx, "resume"); err != nil {
			return rows, nil, err
		}
	}
	return rows, turns, nil
}

// nodeSweep is the sweep in the running node.
type nodeSweep struct {
	*rig
	socket string
	http   *http.Client
}

func newNodeSweep(r *rig, socket string) *nodeSweep {
	return &nodeSweep{r, socket, &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}}
}

// run starts the sweep as a person would.
func (n *nodeSweep) run(args ...string) error {
	args = append(append([]string{"sweep", "run"}, args...), "--socket", n.socket, "-o", "json", "--database", "bench")
	if out, err := exec.Command(n.binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

// post pauses or resumes it without a process of its own, which would be a burden
// of this machine that a sweep is not.
func (n *nodeSweep) post(ctx context.Context, verb string) error {
	body := `{"database":"bench","sweep":"public.sessions"}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node/api/v1/sweeps/"+verb, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := n.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s the sweep: %w", verb, err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s", answer.Status, said)
	}
	if err != nil {
		return fmt.Errorf("%s the sweep: %w", verb, err)
	}
	return nil
}

// seen is what the node says of a sweep.
type seen struct {
	Phase, Brake string
	Deleted      int64
	Batches      int64
	Active       float64 `json:"active_seconds"`
	Duty         float64
}

// String is what -v shows.
func (s seen) String() string {
	n := max(float64(s.Batches), 1)
	return fmt.Sprintf("%d rows, %.0f a batch of %.2f ms, duty %.3f, brake %q", s.Deleted, float64(s.Deleted)/n, 1e3*s.Active/n, s.Duty, s.Brake)
}

// now asks the node without a process of its own, and without a database while
// the sweep is at work: what is measured shares this machine.
func (n *nodeSweep) now(ctx context.Context) (seen, error) {
	for _, path := range []string{"sweeps/live", "sweeps"} {
		list, err := n.list(ctx, path)
		if err != nil {
			return seen{}, fmt.Errorf("ask for %s: %w", path, err)
		}
		if len(list) > 0 {
			return list[0], nil
		}
	}
	return seen{}, errors.New("the node has no sweep")
}

func (n *nodeSweep) list(ctx context.Context, path string) ([]seen, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node/api/v1/"+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := n.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var list struct{ Items []seen }
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", answer.Status, err)
	}
	return list.Items, nil
}

// until lets it run so long, or to its end, and then pauses it.
func (n *nodeSweep) until(ctx context.Context, d time.Duration) (rows int64, phase string, err error) {
	pause, brake, begun, asked := time.Now().Add(d), "", false, false
	for {
		now, err := n.now(ctx)
		if err != nil {
			return 0, "", err
		}
		if now.Phase == "paused" && !begun && time.Now().Before(pause) {
			time.Sleep(20 * time.Millisecond) // the runner is on its way
			continue
		}
		begun = true
		if now.Phase != "running" {
			if n.verbose {
				fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05.0"), now.Phase, now)
			}
			return now.Deleted, now.Phase, nil
		}
		if n.verbose && now.Brake != brake {
			brake = now.Brake
			fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05.0"), now)
		}
		if time.Now().After(pause) {
			if err := n.post(ctx, "pause"); err != nil {
				return 0, "", err
			}
			pause, asked = pause.Add(time.Hour), true
		}
		// Rarely, unless somebody looks on: to ask is a burden too.
		every := 5 * time.Second
		switch {
		case asked:
			every = 50 * time.Millisecond
		case n.verbose:
			every = 500 * time.Millisecond
		}
		if err := wait(ctx, min(every, max(time.Until(pause), 0))); err != nil {
			return 0, "", err
		}
	}
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

func (f *foreground) read() (samples, error) {
	f.ended = true
	_ = f.cmd.Process.Signal(os.Interrupt) // ends it with its log written
	_ = f.cmd.Wait()
	all, err := latency.Read(f.folder, "log")
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, &f.out)
	}
	return all, nil
}

type samples []latency.Transaction

func (s samples) between(from, to time.Time) []float64 { return latency.Between(s, from, to) }

// each are the durations in each of the turns.
func (s samples) each(turns []turn) (ms [][]float64) {
	for _, t := range turns {
		ms = append(ms, s.between(t.from, t.to))
	}
	return ms
}

// p99 of values in any order.
func p99(ms []float64) float64 { return latency.At(slices.Sorted(slices.Values(ms)), 0.99) }
