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
	pair    pair
	watch   *brake.Watch
	pace    *brake.Pace
	gap     brake.Gap
	window  when.Window
	keep    *keepFile
	meter   meter
	tried   int  // failures of the same batch in a row
	skip    bool // this batch leaves locked rows out
	round   int  // through the places with locked rows that is under way
	level   brake.Level
	started time.Time
	saved   time.Time     // when the row was last written
	trip    time.Duration // a commit's, when last one was alone in its round trip; 0 = never
	briefs  int           // batches of one round trip since
	shut    bool          // the window is shut
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
	r.pace = brake.NewPace(brake.Setting{Target: o.Target, Beside: o.Beside, Share: o.Share, Rate: o.Rate}, time.Now())
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
		r.closeSecond()
		_ = r.session.conn.Close(ctx) // its locks go with it
	}
	if r.keep != nil {
		r.keep.file.Close() // synced batch by batch
	}
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
