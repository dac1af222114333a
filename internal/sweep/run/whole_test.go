package run

import (
	"strconv"
	"strings"
	"testing"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/plan"
)

// parts makes a table by month of which the first two hold doomed rows only, the
// third some, and the fourth none.
const parts = `
DROP TABLE IF EXISTS sessions;
CREATE TABLE sessions (id bigint NOT NULL, expires_at timestamptz NOT NULL, PRIMARY KEY (id, expires_at)) PARTITION BY RANGE (expires_at);
CREATE TABLE sessions_1 PARTITION OF sessions FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE sessions_2 PARTITION OF sessions FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE sessions_3 PARTITION OF sessions FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
CREATE TABLE sessions_4 PARTITION OF sessions FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
INSERT INTO sessions SELECT i, '2026-01-01'::timestamptz + i % 119 * interval '1 day' FROM generate_series(1, 20000) i;
ANALYZE sessions`

const before = "expires_at < '2026-03-15'"

// partitions are what is left of the table, and its checksum.
func partitions(t *testing.T, s *pgtest.Server) string {
	t.Helper()
	return s.Value(t, "SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'sessions'::regclass")
}

// TestDropPartitions: partitions without a survivor go whole, the rest by rows.
func TestDropPartitions(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	s.Exec(t, parts)
	want, gone := survivors(t, s, "NOT "+before), s.Value(t, "SELECT count(*) FROM sessions WHERE "+before)
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: before}, Options{})
	got, err := Run(t.Context(), c, id)
	if err != nil || got.Phase != Done || strconv.FormatInt(got.Deleted, 10) != gone {
		t.Fatalf("%+v, %v; want %s deleted", got, err, gone)
	}
	if left := partitions(t, s); left != "sessions_3 sessions_4" {
		t.Errorf("partitions left: %s", left)
	}
	if left := survivors(t, s, "true"); left != want {
		t.Errorf("survivors %s, want %s", left, want)
	}
}

// TestDropNot: a partition with a survivor that the planner does not see, or
// that the role does not own, is swept by rows.
func TestDropNot(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	for name, spoil := range map[string]string{
		"a survivor":              "ALTER TABLE sessions DROP CONSTRAINT sessions_pkey; ALTER TABLE sessions ALTER expires_at DROP NOT NULL; CREATE TABLE sessions_0 PARTITION OF sessions DEFAULT; INSERT INTO sessions VALUES (-1, NULL)",
		"not the owner":           "GRANT SELECT, DELETE ON sessions, sessions_1, sessions_2, sessions_3, sessions_4 TO sweeper; GRANT CREATE ON DATABASE postgres TO sweeper",
		"something depends on it": "CREATE VIEW seen AS SELECT * FROM sessions_1",
	} {
		t.Run(name, func(t *testing.T) {
			s.Exec(t, "DROP SCHEMA IF EXISTS spillway CASCADE; DROP VIEW IF EXISTS seen; DO $$BEGIN CREATE ROLE sweeper LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END$$")
			s.Exec(t, parts)
			s.Exec(t, spoil)
			user := ""
			if name == "not the owner" {
				user = "sweeper"
			}
			want, gone := survivors(t, s, "("+before+") IS NOT TRUE"), s.Value(t, "SELECT count(*) FROM sessions WHERE "+before)
			c, id, err := tryBegin(t.Context(), s.URL(pgtest.Login{User: user}), plan.Order{Table: "sessions", Where: before}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if user != "" {
				s.Exec(t, "REVOKE DELETE ON sessions_4 FROM sweeper")
				if _, _, err := tryBegin(t.Context(), s.URL(pgtest.Login{User: user}), plan.Order{Table: "sessions", Where: before}, Options{}); err == nil || !strings.Contains(err.Error(), `GRANT SELECT, DELETE ON "public"."sessions_4"`) {
					t.Errorf("a partition without rights: %v", err)
				}
			}
			got, err := Run(t.Context(), c, id)
			if err != nil || got.Phase != Done || strconv.FormatInt(got.Deleted, 10) != gone {
				t.Fatalf("%+v, %v; want %s deleted", got, err, gone)
			}
			t.Logf("partitions left: %s", partitions(t, s))
			if left := survivors(t, s, "true"); left != want {
				t.Errorf("survivors %s, want %s", left, want)
			}
		})
	}
}

// TestDropBusy: a partition that somebody reads for long is dropped when they
// are gone.
func TestDropBusy(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	s.Exec(t, parts)
	want := survivors(t, s, "NOT "+before)
	reader := pgtest.Connect(t, s.URL(pgtest.Login{}))
	if _, err := reader.Exec(t.Context(), "BEGIN; SELECT count(*) FROM sessions_1"); err != nil {
		t.Fatal(err)
	}
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: before}, Options{})
	a := launch(t, c, id)
	waits := func() string {
		return s.Value(t, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IN ('sessions'::regclass, 'sessions_1'::regclass)")
	}
	a.until("it waits for the reader", func(Progress) bool { return waits() != "0" })
	a.until("it lets others by", func(Progress) bool { return waits() == "0" })
	if _, err := reader.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	<-a.done
	if a.err != nil || a.got.Phase != Done {
		t.Fatalf("%+v, %v", a.got, a.err)
	}
	if left := partitions(t, s); left != "sessions_3 sessions_4" {
		t.Errorf("partitions left: %s", left)
	}
	if left := survivors(t, s, "true"); left != want {
		t.Errorf("survivors %s, want %s", left, want)
	}
}
