package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Ran is one run in the history.
type Ran struct {
	Token  int64      `json:"token"`
	Holder string     `json:"holder"`
	Began  time.Time  `json:"began"`
	Ended  *time.Time `json:"ended,omitempty"` // nil: runs
	How    How        `json:"how,omitempty"`
	Exit   *int       `json:"exit,omitempty"`
	Rows   *int64     `json:"rows,omitempty"`
	// Overlapped counts the starts that came while it ran and did not run.
	Overlapped int    `json:"overlapped,omitempty"`
	Note       string `json:"note,omitempty"`
}

// Expect is what a job is held to although it may never have run.
type Expect struct {
	Name     string
	Every    time.Duration
	Deadline time.Duration
	Failures int // in a row, that are too many; 0 is 3
}

// State is a job as the database knows it.
type State struct {
	Name     string        `json:"name"`
	Every    time.Duration `json:"-"`
	Deadline time.Duration `json:"-"`
	Held     bool          `json:"held"` // a lease is in force
	Waiting  int           `json:"waiting"`
	Now      time.Time     `json:"now"`  // the database's clock
	Runs     []Ran         `json:"runs"` // newest first, at most history
	Facts    []Fact        `json:"facts,omitempty"`

	EverySeconds    float64 `json:"every_seconds"`
	DeadlineSeconds float64 `json:"deadline_seconds"`

	failures int       // too many in a row; 0 is failuresEnough
	expected time.Time // since when it is expected to run, for one that never did
}

// history is how many runs of each job are looked at.
const history = 20

// Board tells the jobs of one database; who watches for findings joins it.
type Board interface {
	Jobs(ctx context.Context) ([]State, error)
}

// Room is the Board of a database. Each call connects anew.
type Room struct {
	Server *pgx.ConnConfig
	Expect []Expect  // wins over what the runs themselves declared
	Since  time.Time // since when that is expected, by this machine's clock
}

// Jobs returns every job with its latest runs and what is wrong with it; none
// where no job ever ran nor is expected.
func (r *Room) Jobs(ctx context.Context) ([]State, error) {
	conn, err := dial(ctx, r.Server, "list")
	if err != nil {
		return nil, err
	}
	defer hangUp(conn)
	var there bool
	var now time.Time
	if err := conn.QueryRow(ctx, "SELECT to_regclass('spillway.job_wait') IS NOT NULL, clock_timestamp()").Scan(&there, &now); err != nil {
		return nil, fmt.Errorf("look for jobs: %w%s", err, mend(err, mendSchema))
	}
	var states []State
	if there {
		if states, err = list(ctx, conn); err != nil {
			return nil, err
		}
	}
	states = r.expect(states, now)
	for i := range states {
		s := &states[i]
		s.EverySeconds, s.DeadlineSeconds = s.Every.Seconds(), s.Deadline.Seconds()
		s.Facts = Judge(s)
	}
	return states, nil
}

// expect puts what is expected over what is there. Both clocks are only asked
// for how long ago something was.
func (r *Room) expect(states []State, now time.Time) []State {
	for _, e := range r.Expect {
		at := slices.IndexFunc(states, func(s State) bool { return s.Name == e.Name })
		if at < 0 {
			at = len(states)
			states = append(states, State{Name: e.Name, Now: now})
		}
		s := &states[at]
		s.failures, s.expected = e.Failures, now.Add(-time.Since(r.Since))
		if e.Every > 0 {
			s.Every = e.Every
		}
		if e.Deadline > 0 {
			s.Deadline = e.Deadline
		}
	}
	return states
}

func list(ctx context.Context, conn *pgx.Conn) ([]State, error) {
	rows, err := conn.Query(ctx, `SELECT name, (extract(epoch FROM every) * 1e9)::bigint, (extract(epoch FROM deadline) * 1e9)::bigint,
		until > clock_timestamp(), (SELECT count(*) FROM spillway.job_wait w WHERE w.name = l.name AND beat >= clock_timestamp() - $1::interval),
		clock_timestamp() FROM spillway.job_lease l ORDER BY name LIMIT 1000`, ttl)
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	states, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (State, error) {
		var s State
		return s, row.Scan(&s.Name, &s.Every, &s.Deadline, &s.Held, &s.Waiting, &s.Now)
	})
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	for i := range states {
		if states[i].Runs, err = runs(ctx, conn, states[i].Name); err != nil {
			return nil, err
		}
	}
	return states, nil
}

func runs(ctx context.Context, conn *pgx.Conn, name string) ([]Ran, error) {
	rows, err := conn.Query(ctx, `SELECT token, holder, began, ended, coalesce(how, ''), exit, rows, overlapped, note
		FROM spillway.job_run WHERE name = $1 ORDER BY began DESC, id DESC LIMIT $2`, name, history)
	if err != nil {
		return nil, fmt.Errorf("read runs of %s: %w", name, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Ran, error) {
		var r Ran
		return r, row.Scan(&r.Token, &r.Holder, &r.Began, &r.Ended, &r.How, &r.Exit, &r.Rows, &r.Overlapped, &r.Note)
	})
	if err != nil {
		return nil, fmt.Errorf("read runs of %s: %w", name, err)
	}
	return all, nil
}

// Forget drops a job that is run no more, with its history. One whose lease is
// in force stays.
func (r *Room) Forget(ctx context.Context, name string) error {
	conn, err := dial(ctx, r.Server, "forget")
	if err != nil {
		return err
	}
	defer hangUp(conn)
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('spillway.job_wait') IS NOT NULL").Scan(&there); err != nil {
		return fmt.Errorf("look for jobs: %w%s", err, mend(err, mendSchema))
	}
	if !there {
		return fmt.Errorf("no job %q ever ran in database %s", name, r.Server.Database)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var held bool
		err := tx.QueryRow(ctx, "SELECT until > clock_timestamp() FROM spillway.job_lease WHERE name = $1 FOR UPDATE", name).Scan(&held)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("no job %q ever ran in database %s", name, r.Server.Database)
		case err != nil:
			return fmt.Errorf("look for the job: %w%s", err, mend(err, mendSchema))
		case held:
			return fmt.Errorf("job %s runs; forget it when it has ended", name)
		}
		for _, table := range []string{"job_lease", "job_run", "job_wait"} {
			if _, err := tx.Exec(ctx, "DELETE FROM spillway."+table+" WHERE name = $1", name); err != nil {
				return fmt.Errorf("forget the job: %w%s", err, mend(err, mendSchema))
			}
		}
		return nil
	})
}

// Latest is the newest run that has ended and is wanted, nil for none.
func (s *State) Latest(wanted func(*Ran) bool) *Ran {
	for i := range s.Runs {
		if r := &s.Runs[i]; r.Ended != nil && wanted(r) {
			return r
		}
	}
	return nil
}
