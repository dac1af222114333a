package job

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// schema is what jobs keep. The lease is updated every second: half of each
// page stays free, so that it happens in place.
const schema = `
CREATE TABLE IF NOT EXISTS spillway.job_lease (
	name text PRIMARY KEY,
	token bigint NOT NULL,
	holder text NOT NULL,
	until timestamptz NOT NULL,
	unwanted bigint NOT NULL DEFAULT 0,
	every interval NOT NULL DEFAULT '0',
	deadline interval NOT NULL DEFAULT '0'
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS spillway.job_run (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL,
	token bigint NOT NULL,
	holder text NOT NULL,
	command text NOT NULL,
	began timestamptz NOT NULL DEFAULT clock_timestamp(),
	ended timestamptz,
	how text,
	exit int,
	rows bigint,
	overlapped int NOT NULL DEFAULT 0,
	note text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS job_run_name ON spillway.job_run (name, began);
CREATE INDEX IF NOT EXISTS job_run_open ON spillway.job_run (name) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS spillway.job_wait (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL,
	holder text NOT NULL,
	beat timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
COMMENT ON TABLE spillway.job_run IS 'Runs of Spillway''s jobs. Rows that have ended may be deleted.'`

// connectWithin bounds one login; a host that swallows packets must not hold
// a job for ever.
const connectWithin = 5 * time.Second

// stepLimit bounds what is asked of the server at once, so that starts do not
// pile up, each with its connection, behind somebody who locks the tables.
const stepLimit = 5 * time.Second

func within(ctx context.Context, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	err := do(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("PostgreSQL did not answer within %v: %w", stepLimit, err)
	}
	return err
}

func dial(ctx context.Context, server *pgx.ConnConfig, name string) (*pgx.Conn, error) {
	c := server.Copy()
	c.RuntimeParams["application_name"] = "spillway job " + name
	// The lease works through any pooler: no statement outlives its call.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.ConnectTimeout = connectWithin
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", oneLine{err})
	}
	return conn, nil
}

// oneLine is a failed login, of which pgx says each way it tried on a line of
// its own, the same one twice where TLS may be left out.
type oneLine struct{ error }

// Error implements error.
func (e oneLine) Error() string {
	var lines []string
	for line := range strings.Lines(e.error.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

// Unwrap gives errors.As the login's own error.
func (e oneLine) Unwrap() error { return e.error }

func hangUp(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server may be gone already
}

// reach is dial that tries again while the server is full or away.
func (o *Order) reach(ctx context.Context) (*pgx.Conn, error) {
	until := time.Now().Add(o.Patience)
	pause := 50 * time.Millisecond
	for {
		conn, err := dial(ctx, o.Server, o.Name)
		if err == nil || !passing(err) || time.Now().After(until) || ctx.Err() != nil {
			return conn, err
		}
		// Full jitter: those who come together do not come back together.
		if !sleep(ctx, rand.N(pause)+10*time.Millisecond) {
			return nil, err
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// passing tells whether a login may succeed later: the server is full, starts
// or stops, or nobody answered at all.
func passing(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return true
	}
	switch pg.Code {
	case "53300", "57P03", "57P01", "57P02", "53200", "53400":
		return true
	}
	return false
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// making is the advisory lock of those who make the tables, so that they do it
// one after the other; the number is the first letters of "spillway job".
const making = "8317125870538155895"

// prepare makes the tables where they are missing.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	there, _, err := furnished(ctx, conn)
	// Sweeps make the same schema, without that lock: once, a loser tries again.
	for tries := 0; tries < 2 && !there && err == nil; tries++ {
		if err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return furnish(ctx, tx) }); err == nil {
			return nil
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) && (pg.Code == "23505" || pg.Code == "42P06") {
			there, _, err = furnished(ctx, conn)
		}
	}
	if err != nil {
		return fmt.Errorf("make schema spillway for the job's lease: %w%s", err, mend(err, mendSchema))
	}
	return nil
}

// furnished tells whether the tables are there, and whether the schema is.
func furnished(ctx context.Context, db querier) (tables, home bool, err error) {
	err = db.QueryRow(ctx, "SELECT to_regclass('spillway.job_wait') IS NOT NULL, to_regnamespace('spillway') IS NOT NULL").Scan(&tables, &home)
	return tables, home, err
}

func furnish(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock("+making+")"); err != nil {
		return err
	}
	tables, home, err := furnished(ctx, tx)
	if err != nil || tables {
		return err
	}
	make := "CREATE SCHEMA spillway; " + schema
	if home {
		make = schema // CREATE SCHEMA IF NOT EXISTS asks for the right to create one all the same
	}
	_, err = tx.Conn().PgConn().Exec(ctx, "SET LOCAL client_min_messages = warning; "+make).ReadAll()
	return err
}

// mendSchema is what a role lacks that may not make or use the tables.
const mendSchema = " (the role needs CREATE on the database once, or from who made the tables USAGE ON SCHEMA spillway and ALL ON ALL TABLES IN SCHEMA spillway)"

// mend is how to mend what the role is not allowed to do, "" for other errors.
func mend(err error, how string) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return how
	}
	return ""
}
