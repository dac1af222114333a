package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"spillway/internal/pgtest"
)

// rig is the PostgreSQL that is measured, with a database to copy for each run.
type rig struct {
	settings
	server      *pgtest.Server
	binary      string
	doomed      int64
	size, total string
	machine     string
	origin      string
}

// condition is what all methods delete.
const condition = "expires_at < now()"

func newRig(s settings) (*rig, error) {
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		return nil, err
	}
	quiet := func(string, ...any) {}
	server, err := pgtest.Launch(quiet, pgtest.Options{Durable: s.durable, Settings: map[string]string{
		"shared_buffers": "2GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min", "maintenance_work_mem": "512MB", "wal_compression": "on",
	}})
	if err != nil {
		return nil, err
	}
	r := &rig{settings: s, server: server, binary: binary, origin: "origin", machine: fmt.Sprintf("%d CPUs", runtime.NumCPU())}
	if err := r.seed(); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return r, nil
}

func (r *rig) close() {
	if err := r.server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-sweep: close PostgreSQL:", err)
	}
}

// seed makes the report's table: an expiry that has nothing to do with the
// physical order, one index on it, and secondary ones.
func (r *rig) seed() error {
	if _, err := r.server.Query("CREATE DATABASE origin"); err != nil {
		return err
	}
	// Piece by piece: one administrative statement has a minute.
	const piece = 1_000_000
	if _, err := r.server.QueryIn("origin", `CREATE TABLE sessions (id bigint NOT NULL, user_id int NOT NULL, token uuid NOT NULL, created_at timestamptz NOT NULL, expires_at timestamptz NOT NULL, agent text NOT NULL)`); err != nil {
		return err
	}
	for from := 0; from < r.rows; from += piece {
		if _, err := r.server.QueryIn("origin", fmt.Sprintf(`INSERT INTO sessions
			SELECT i, hashint4(i) & 1048575, md5(i::text)::uuid, now() - interval '40 days' + i * interval '0.01 s',
			       now() + CASE WHEN (hashint4(i) & 2147483647) %% 100 < 96 THEN - interval '1 s' * (1 + (hashint4(i + 7) & 2097151)) ELSE interval '1 day' + interval '1 s' * (hashint4(i + 3) & 65535) END,
			       'Mozilla/5.0 (X11; Linux x86_64) ' || i %% 97
			FROM generate_series(%d, %d) i`, from+1, min(from+piece, r.rows))); err != nil {
			return err
		}
	}
	for _, index := range []string{"ALTER TABLE sessions ADD PRIMARY KEY (id)", "CREATE INDEX ON sessions (expires_at)", "CREATE INDEX ON sessions (user_id)", "CREATE UNIQUE INDEX ON sessions (token)", "VACUUM ANALYZE sessions", "CHECKPOINT"} {
		if err := r.long("origin", index); err != nil {
			return err
		}
	}
	rows, err := r.server.QueryIn("origin", "SELECT count(*) FILTER (WHERE "+condition+"), pg_size_pretty(pg_table_size('sessions')), pg_size_pretty(pg_total_relation_size('sessions')) FROM sessions")
	if err != nil {
		return err
	}
	r.size, r.total = rows[0][1], rows[0][2]
	r.doomed, err = strconv.ParseInt(rows[0][0], 10, 64)
	return err
}

// fresh is a copy of the table in a database of that name.
func (r *rig) fresh(name string) error {
	if err := r.drop(name); err != nil {
		return err
	}
	return r.long("postgres", "CREATE DATABASE "+name+" TEMPLATE origin STRATEGY file_copy")
}

func (r *rig) drop(name string) error {
	_, err := r.server.Query("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
	return err
}
