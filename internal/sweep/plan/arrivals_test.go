package plan

import (
	"testing"
	"time"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/target"
)

// TestArrivals: what has become doomed since a sweep's cut-off, whatever was
// doomed before.
func TestArrivals(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	// A hundred a second, for an hour back and a minute ahead.
	s.Exec(t, "CREATE TABLE sessions (id int PRIMARY KEY, at timestamptz, pad text); INSERT INTO sessions SELECT i, now() + interval '1 min' - i * interval '10 ms', repeat('x', 100) FROM generate_series(1, 366000) i")
	c, err := target.Parse(s.URL(pgtest.Login{}))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := target.Connect(t.Context(), c, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close(conn)
	cutoff := time.Now().Add(-20 * time.Minute)
	got, known, err := Arrivals(t.Context(), conn, Order{Table: "sessions", Where: "at < now()"}, cutoff)
	// By a sample of 2,000 of some 6,700 pages in which the rows of 20 minutes
	// lie together: a tenth more or less is chance.
	if err != nil || !known || got < 80 || got > 120 {
		t.Errorf("%.1f rows/s, %v, %v", got, known, err)
	}
	t.Logf("%.1f rows/s", got)
	if _, known, err := Arrivals(t.Context(), conn, Order{Table: "sessions", Where: "id < 1000"}, cutoff); err != nil || known {
		t.Errorf("a condition that does not move: %v, %v", known, err)
	}
	if _, _, err := Arrivals(t.Context(), conn, Order{Table: "gone", Where: "true"}, cutoff); err == nil {
		t.Error("a table that is not there any more")
	}
}
