package job

import (
	"context"
	"fmt"
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
	Note   string     `json:"note,omitempty"`
}

// State is a job as the database knows it.
type State struct {
	Name     string        `json:"name"`
	Every    time.Duration `json:"every_ns"`
	Deadline time.Duration `json:"deadline_ns"`
	Held     bool          `json:"held"` // a lease is in force
	Waiting  int           `json:"waiting"`
	Now      time.Time     `json:"now"`  // the database's clock
	Runs     []Ran         `json:"runs"` // newest first, at most history
	Facts    []Fact        `json:"facts,omitempty"`
}

// history is how many runs of each job are looked at.
const history = 20

// Board tells the jobs of one database; who watches for findings joins it.
type Board interface {
	Jobs(ctx context.Context) ([]State, error)
}

// Room is the Board of a database. Each call connects anew.
type Room struct{ Server *pgx.ConnConfig }

// Jobs returns every job with its latest runs and what is wrong with it; none
// where no job ever ran.
func (r *Room) Jobs(ctx context.Context) ([]State, error) {
	conn, err := dial(ctx, r.Server, "list")
	if err != nil {
		return nil, err
	}
	defer hangUp(conn)
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('spillway.job_wait') IS NOT NULL").Scan(&there); err != nil || !there {
		return nil, err
	}
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
		states[i].Facts = Judge(&states[i])
	}
	return states, nil
}

func runs(ctx context.Context, conn *pgx.Conn, name string) ([]Ran, error) {
	rows, err := conn.Query(ctx, `SELECT token, holder, began, ended, coalesce(how, ''), exit, rows, note
		FROM spillway.job_run WHERE name = $1 ORDER BY began DESC, id DESC LIMIT $2`, name, history)
	if err != nil {
		return nil, fmt.Errorf("read runs of %s: %w", name, err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Ran, error) {
		var r Ran
		return r, row.Scan(&r.Token, &r.Holder, &r.Began, &r.Ended, &r.How, &r.Exit, &r.Rows, &r.Note)
	})
	if err != nil {
		return nil, fmt.Errorf("read runs of %s: %w", name, err)
	}
	return all, nil
}
