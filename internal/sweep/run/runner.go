package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sweep/brake"
	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/when"
)

// Dial opens a session of its own to the swept database.
type Dial func(ctx context.Context) (*pgx.Conn, error)

// Config is what a run is made of.
type Config struct {
	Dial    Dial
	Watch   Dial          // for the brakes; nil = Dial
	Holder  string        // who runs it, as a list shows: host and process
	Traffic brake.Traffic // nil: no proxy to ask
	// Tell is called at most some times a second from the run's goroutine.
	Tell func(Progress)
	// Note puts an event into the record.
	Note func(kind string, body any)
	// Patience is how long a server that is away is waited for; 0 = for ever.
	Patience time.Duration
	// Adoptable leaves a sweep running, without a runner, when ctx ends: another
	// node, or this one after its restart, takes it up by itself.
	Adoptable bool
	// Adopts takes the sweep up only if it still runs without a runner.
	Adopts bool
	Log    *slog.Logger
}

// runner is one run of one sweep; used from one goroutine.
type runner struct {
	config  Config
	sweep   *Sweep
	session *session
	watch   *brake.Watch
	pace    *brake.Pace
	window  when.Window
	keep    *keepFile
	meter   meter
	tried   int  // failures of the same batch in a row
	skip    bool // this batch leaves locked rows out
	round   int  // through the places with locked rows that is under way
	level   brake.Level
	started time.Time
	saved   time.Time // when the row was last written
	shut    bool      // the window is shut
}

// These end a run in order.
var (
	errPause  = errors.New("paused")
	errCancel = errors.New("cancelled")
	errStop   = errors.New("its runner was told to stop")
)

// Run takes sweep id up and carries it on until it is done, paused, cancelled
// or fails. When ctx ends it pauses after the batch under way, and the sweep can
// be resumed. The sweep as it was left comes back with a nil error in all of
// these but failure.
func Run(ctx context.Context, c Config, id int64) (*Sweep, error) {
	if c.Watch == nil {
		c.Watch = c.Dial
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &runner{config: c, started: time.Now()}
	defer r.close()
	if err := r.begin(ctx, id); err != nil {
		return nil, err
	}
	if err := r.outfit(); err != nil {
		// It is this runner's by now: nobody else would say why it does not go on.
		return r.end(ctx, err)
	}
	stop := r.look(ctx)
	defer stop()
	r.note("sweep.started", nil)
	return r.end(ctx, r.work(ctx))
}

// begin reads the sweep, takes its locks, then its fence.
func (r *runner) begin(ctx context.Context, id int64) error {
	conn, err := r.config.Dial(ctx)
	if err != nil {
		return err
	}
	s, err := Read(ctx, conn, id)
	_ = conn.Close(ctx) // it was only asked
	if err != nil {
		return err
	}
	if s.Phase.Over() {
		return fmt.Errorf("sweep %d is %s: %w", id, s.Phase, ErrOver)
	}
	if r.session, err = open(ctx, r.config.Dial, s); err != nil {
		return err
	}
	return r.take(ctx, id)
}

// take raises the fence: whoever ran this sweep before can commit nothing more.
func (r *runner) take(ctx context.Context, id int64) error {
	tag, err := r.session.conn.Exec(ctx, `UPDATE spillway.sweep SET fence = fence + 1, holder = $2, phase = 'running', want = 'run', reason = '', brake = '', beat = clock_timestamp(), ended = NULL
		WHERE id = $1 AND phase NOT IN ('done', 'cancelled') AND (phase = 'running' AND want = 'run' OR NOT $3)`, id, r.config.Holder, r.config.Adopts)
	if err != nil {
		return fmt.Errorf("take sweep %d up: %w", id, err)
	}
	if r.sweep, err = Read(ctx, r.session.conn, id); err != nil {
		return err
	}
	switch {
	case r.sweep.Phase.Over():
		return fmt.Errorf("sweep %d is %s: %w", id, r.sweep.Phase, ErrOver)
	case tag.RowsAffected() == 0:
		return fmt.Errorf("sweep %d is %s by now: %w", id, r.sweep.Phase, ErrTaken)
	}
	return nil
}

// outfit makes what follows from the sweep's options.
func (r *runner) outfit() error {
	o := &r.sweep.Job.Options
	r.pace = brake.NewPace(brake.Setting{Target: o.Target, Share: o.Share, Rate: o.Rate}, time.Now())
	r.meter.start(time.Now(), r.sweep)
	zone, err := time.LoadLocation(o.Zone)
	if err != nil {
		return fmt.Errorf("read time zone %q: %w", o.Zone, err)
	}
	if r.window, err = when.ParseWindow(o.Window, zone); err != nil {
		return err
	}
	if r.sweep.Job.KeepFile != "" {
		if r.keep, err = openKeep(r.sweep.Job.KeepFile, r.sweep.Kept); err != nil {
			return err
		}
	}
	return nil
}

// look starts the brakes; the function returned ends them.
func (r *runner) look(ctx context.Context) func() {
	limits := brake.Defaults()
	if l := r.sweep.Job.Options.Limits; l != nil {
		limits = *l
	}
	tables := []uint32{r.sweep.Relation}
	for i := range r.sweep.Job.Legs {
		tables = append(tables, r.sweep.Job.Legs[i].OID)
	}
	r.watch = brake.NewWatch(brake.Config{Dial: r.config.Watch, Tables: tables, Limits: limits, Traffic: r.config.Traffic})
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	_, first := r.watch.Verdict()
	go func() { defer close(ended); r.watch.Run(ctx) }()
	select { // what holds the sweep from the start is worth telling, not that nobody has looked yet
	case <-first:
	case <-time.After(poll):
	}
	return func() { cancel(); <-ended }
}

func (r *runner) close() {
	if r.session != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = r.session.conn.Close(ctx) // its locks go with it
	}
	if r.keep != nil {
		r.keep.file.Close() // synced batch by batch
	}
}

// loop runs until the work is done (nil) or something ends it.
func (r *runner) loop(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return errStop
		}
		if d := r.sweep.Job.Options.Deadline; d > 0 && time.Since(r.started) > d {
			return fmt.Errorf("its deadline of %s has passed: %w", d, errPause)
		}
		verdict, fresh := r.watch.Verdict()
		if wait := r.pace.Obey(verdict, time.Now()); wait > 0 || r.closed() {
			if err := r.hold(ctx, verdict, wait, fresh); err != nil {
				return err
			}
			continue
		}
		r.braked(verdict)
		done, rest, err := r.step(ctx)
		if err == nil && done {
			return nil
		}
		if err == nil {
			err = r.rest(ctx, rest)
		} else {
			err = r.mend(ctx, err)
		}
		if err != nil {
			return err
		}
	}
}

// closed says whether the window is shut now.
func (r *runner) closed() bool {
	r.shut = !r.window.Open(time.Now())
	return r.shut
}

// deadNetwork is how much longer than the server allows itself an answer may take.
const deadNetwork = 30 * time.Second

// poll is how often a sweep that waits asks what is wanted of it.
// A window may be shut for most of the day: no need to write so often then.
const poll, shutPoll = 250 * time.Millisecond, 2 * time.Second

// hold waits for a brake or the window.
func (r *runner) hold(ctx context.Context, v brake.Verdict, wait time.Duration, fresh <-chan struct{}) error {
	if r.shut {
		v = brake.Verdict{Level: brake.Hard, Readings: []brake.Reading{{Name: "window", Level: brake.Hard, Text: "opens at " + r.window.Opens(time.Now()).Format("15:04 MST")}}}
		wait, fresh = shutPoll, nil
	} else {
		wait = min(max(wait, time.Millisecond), poll)
	}
	r.braked(v)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-fresh:
	case <-ctx.Done():
		return errStop
	}
	return r.wanted(ctx)
}

// rest waits between batches. A long rest is one in which to listen.
func (r *runner) rest(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	for {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, min(left, poll)); err != nil {
			return errStop
		}
		if left > poll {
			if err := r.wanted(ctx); err != nil {
				return err
			}
			if v, _ := r.watch.Verdict(); v.Level == brake.Hard {
				return nil // the loop holds
			}
		}
	}
}

// wanted reads what a person wants while no batch does, and says that the
// runner lives.
func (r *runner) wanted(ctx context.Context) error {
	if time.Since(r.saved) < poll {
		return nil
	}
	var want Want
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadNetwork)
	defer cancel()
	err := r.session.conn.QueryRow(asking, `UPDATE spillway.sweep SET beat = clock_timestamp(), brake = $3 WHERE id = $1 AND fence = $2 RETURNING want`,
		r.sweep.ID, r.sweep.Fence, r.sweep.Brake).Scan(&want)
	r.saved = time.Now()
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrFenced
	case err != nil:
		return r.mend(ctx, err)
	}
	r.tell(false)
	return obey(want)
}

func obey(want Want) error {
	switch want {
	case WantPause:
		return errPause
	case WantCancel:
		return errCancel
	case WantRun:
	}
	return nil
}

// braked takes note of what holds the sweep.
func (r *runner) braked(v brake.Verdict) {
	r.sweep.Brake = v.String()
	if v.Level != r.level {
		r.level = v.Level
		r.note("sweep.braked", map[string]any{"level": v.Level.String(), "brakes": v.Readings})
		r.tell(true)
	}
}

// step runs one batch. done is true when nothing is left.
func (r *runner) step(ctx context.Context) (done bool, rest time.Duration, err error) {
	// What is under way is finished even when the run is told to stop: a query
	// that is given up costs the connection. A network that is dead ends it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.session.timeout+deadNetwork)
	defer cancel()
	b, err := r.next(ctx)
	if err != nil || b == nil {
		return b == nil && err == nil, 0, err
	}
	r.watch.Working(r.session.conn.PgConn().PID())
	begun := time.Now()
	deleted, err := r.attempt(b.bound(ctx), b)
	took := time.Since(begun)
	r.watch.Worked()
	if err != nil {
		return false, 0, err
	}
	r.tried, r.skip = 0, false
	r.sweep.Cursor, r.saved = b.after, time.Now()
	r.sweep.Deleted += deleted
	r.sweep.Batches++
	r.sweep.Active += took.Seconds()
	r.meter.count(time.Now(), deleted)
	r.tell(false)
	rest = r.pace.Done(brake.Spent{Took: took, Trip: b.trip, Looked: b.looked, Deleted: deleted}, time.Now())
	return false, rest, b.want
}

// work runs the loop to its end and writes down that it is done. A server that
// dies just then may have lost the last batches: what it still knows of the
// cursor decides where it goes on.
func (r *runner) work(ctx context.Context) error {
	for {
		err := r.loop(ctx)
		if err != nil {
			return err
		}
		reason := ""
		if n := len(r.sweep.Cursor.Again); n > 0 {
			reason = fmt.Sprintf("%d places hold doomed rows that others kept locked; the next sweep takes them", n)
		}
		if err = r.last(ctx, Done, reason); err == nil {
			return nil
		}
		if err = r.mend(ctx, err); err != nil {
			return err
		}
	}
}

// end writes down how the run ended, unless it is done, and tells.
func (r *runner) end(ctx context.Context, err error) (*Sweep, error) {
	if errors.Is(err, ErrFenced) {
		return nil, err
	}
	var failed error
	phase, reason := Done, r.sweep.Reason
	switch {
	case err == nil:
	case errors.Is(err, errCancel):
		phase, reason = Cancelled, ""
	case errors.Is(err, errStop) && r.config.Adoptable:
		phase, reason = Running, ""
	case errors.Is(err, errStop):
		phase, reason = Paused, err.Error()
	case err == errPause: //nolint:errorlint // only the bare one has no reason
		phase, reason = Paused, ""
	case errors.Is(err, errPause):
		phase, reason = Paused, err.Error()
	default:
		phase, reason = Failed, err.Error()
	}
	if phase == Done {
		r.vacuum(ctx)
	} else if failed = r.last(ctx, phase, reason); errors.Is(failed, ErrFenced) {
		return nil, failed
	}
	r.sweep.Phase, r.sweep.Reason, r.sweep.Brake = phase, reason, ""
	kind := string(phase)
	if phase == Running {
		kind = "left" // to be adopted
	}
	r.note("sweep."+kind, map[string]any{"reason": reason})
	r.tell(true)
	if phase == Failed {
		return r.sweep, fmt.Errorf("sweep %d of %s: %w", r.sweep.ID, r.sweep.Table, err)
	}
	if failed != nil {
		return r.sweep, fmt.Errorf("write down the end of sweep %d: %w", r.sweep.ID, failed)
	}
	return r.sweep, nil
}

// last writes down the phase in which a run leaves the sweep. What is told to be
// over is over: this commit, and so those of all batches before it, waits for
// the disk.
func (r *runner) last(ctx context.Context, phase Phase, reason string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectPatience)
	defer cancel()
	var ended *time.Time
	_, err := r.session.conn.Exec(ctx, "SET synchronous_commit = local")
	if err == nil {
		err = r.session.conn.QueryRow(ctx, `UPDATE spillway.sweep SET phase = $3, want = 'run', reason = $4, brake = '', beat = clock_timestamp(), active = $5,
			ended = CASE WHEN $3 IN ('paused', 'running') THEN NULL ELSE clock_timestamp() END WHERE id = $1 AND fence = $2 RETURNING ended`,
			r.sweep.ID, r.sweep.Fence, phase, reason, r.sweep.Active).Scan(&ended)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrFenced
	}
	if err == nil {
		r.sweep.Phase, r.sweep.Reason, r.sweep.Brake, r.sweep.Ended = phase, reason, "", ended
	}
	return err
}

// note puts an event into the record, with what tells the sweep from others.
func (r *runner) note(kind string, more map[string]any) {
	if r.config.Note == nil {
		return
	}
	s := r.sweep
	body := map[string]any{"sweep": s.ID, "name": s.Name, "database": s.Database, "table": s.Table, "condition": s.Job.Order.Where, "cutoff": s.Cutoff,
		"strategy": s.Job.Strategy, "deleted": s.Deleted, "left": int64(s.Left()), "holder": r.config.Holder}
	for key, value := range more {
		body[key] = value
	}
	r.config.Note(kind, body)
}

// choice of words for legs that cannot be dropped.
func physical(l plan.Leg) plan.Strategy {
	if len(l.Key) > 0 {
		return plan.PK
	}
	return plan.TID
}
