package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/plan"
)

// heard counts what a run logs.
type heard struct {
	mu     sync.Mutex
	counts map[string]int // guarded by mu
}

func (h *heard) Enabled(context.Context, slog.Level) bool { return true }
func (h *heard) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *heard) WithGroup(string) slog.Handler            { return h }

// Handle implements slog.Handler.
func (h *heard) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[r.Message]++
	return nil
}

func (h *heard) count(message string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[message]
}

// What runs log.
const (
	hasSecond  = "sweep has a second session"
	noSecond   = "sweep goes on with one session"
	endsSecond = "sweep gives up its second session"
	besides    = "batch runs beside another"
	bothBack   = "a batch failed with another beside it; both go back"
	connection = "sweep lost its connection"
	rewritten  = "the table was rewritten; its pages are gone through from the first"
)

// pairing is a sweep that goes by two batches at once, as nobody is there, and a
// session that its brakes take for a sweep's.
type pairing struct {
	*at
	*heard
	server *pgtest.Server
	hand   *pgx.Conn
	id     int64
	want   string
	gone   int64
	config Config
}

// manyRows are enough for two sessions.
const manyRows = 200_000

// seedMany makes many sessions quickly, with nothing but what pages need, and a
// trigger that makes a run last a second on the fastest machine.
func seedMany(t testing.TB, s *pgtest.Server) {
	t.Helper()
	s.Exec(t, fmt.Sprintf(`
		DROP TABLE IF EXISTS sessions;
		CREATE TABLE sessions (id bigint NOT NULL, expires_at timestamptz NOT NULL);
		INSERT INTO sessions SELECT i, now() + CASE WHEN i %% 100 * 37 %% 100 < 96 THEN - interval '1 s' ELSE interval '1 day' END FROM generate_series(1, %d) i;
		CREATE OR REPLACE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.001); RETURN OLD; END$$;
		CREATE TRIGGER linger BEFORE DELETE ON sessions FOR EACH ROW WHEN (OLD.id %% 200 = 0) EXECUTE FUNCTION linger();
		ANALYZE sessions`, manyRows))
}

func newPairing(t *testing.T, also string) *pairing {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{})
	seedMany(t, s)
	if also != "" {
		s.Exec(t, also)
	}
	p := &pairing{server: s, heard: &heard{counts: map[string]int{}}, want: survivors(t, s, "NOT "+doomed)}
	gone, err := strconv.ParseInt(s.Value(t, "SELECT count(*) FROM sessions WHERE "+doomed), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	p.gone = gone
	p.hand = pgtest.Connect(t, s.URL(pgtest.Login{Params: map[string]string{"application_name": "spillway sweep test"}}))
	p.config, p.id = begin(t, s, plan.Order{Table: "sessions", Where: doomed, Strategy: plan.TID}, Options{NoVacuum: true, Target: 20 * time.Millisecond})
	p.config.Log = slog.New(p.heard)
	return p
}

func (p *pairing) do(t *testing.T, sql string) {
	t.Helper()
	if _, err := p.hand.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// launch starts the run and waits until two batches are in flight, over and over.
func (p *pairing) launch(t *testing.T) {
	t.Helper()
	p.at = launch(t, p.config, p.id)
	p.until("two at once", func(Progress) bool { return p.count(besides) >= 3 })
}

// ends waits for the end, which is to be exact.
func (p *pairing) ends(t *testing.T) {
	t.Helper()
	<-p.done
	if p.err != nil || p.got.Phase != Done {
		t.Fatalf("ended %+v, %v", p.got, p.err)
	}
	p.exact(t)
}

func (p *pairing) exact(t *testing.T) {
	t.Helper()
	if left := survivors(t, p.server, "true"); left != p.want {
		t.Errorf("survivors %s, want %s", left, p.want)
	}
	if n := p.server.Value(t, "SELECT deleted FROM spillway.sweep"); n != strconv.FormatInt(p.gone, 10) {
		t.Errorf("%s rows counted as deleted, want %d", n, p.gone)
	}
	p.heard.mu.Lock()
	defer p.heard.mu.Unlock()
	t.Logf("%v", p.counts)
}

// TestPair: alone, batches overlap, in one second session, and nothing fails.
func TestPair(t *testing.T) {
	p := newPairing(t, "")
	p.launch(t)
	p.ends(t)
	if p.count(hasSecond) != 1 || p.count(bothBack) != 0 {
		t.Error("not in one second session, or something failed")
	}
	if p.got.Deleted != p.gone {
		t.Errorf("told %d, want %d", p.got.Deleted, p.gone)
	}
}

// TestPairLocked: somebody holds one row. The batch that meets it fails, the one
// beside it, which meets nothing, goes back too; the row is visited again.
func TestPairLocked(t *testing.T) {
	t.Parallel()
	p := newPairing(t, "")
	p.do(t, fmt.Sprintf("BEGIN; SELECT 1 FROM sessions WHERE %s AND id > %d ORDER BY id LIMIT 1 FOR UPDATE", doomed, manyRows/2))
	p.launch(t)
	p.until("all others are gone", func(now Progress) bool { return now.Deleted == p.gone-1 })
	p.do(t, "ROLLBACK")
	p.ends(t)
	if p.count(bothBack) == 0 {
		t.Error("no batch failed beside another")
	}
}

// TestPairCollides: a trigger writes to one row for all batches, so that each
// waits for the end of the other.
func TestPairCollides(t *testing.T) {
	t.Parallel()
	p := newPairing(t, `
		CREATE TABLE tally (n bigint); INSERT INTO tally VALUES (0);
		CREATE FUNCTION count_gone() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE tally SET n = n + 1; RETURN OLD; END$$;
		CREATE TRIGGER gone BEFORE DELETE ON sessions FOR EACH ROW WHEN (OLD.id % 1000 = 0) EXECUTE FUNCTION count_gone()`)
	tallied := p.server.Value(t, "SELECT count(*) FROM sessions WHERE id % 1000 = 0 AND "+doomed)
	p.launch(t)
	p.ends(t)
	if n := p.server.Value(t, "SELECT n FROM tally"); n != tallied {
		t.Errorf("the trigger counted %s rows, want %s", n, tallied)
	}
}

// TestPairPaused: two batches in flight end as one does.
func TestPairPaused(t *testing.T) {
	t.Parallel()
	p := newPairing(t, "")
	p.launch(t)
	if _, err := Ask(t.Context(), p.hand, p.id, WantPause); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if p.err != nil || p.got.Phase != Paused {
		t.Fatalf("ended %+v, %v", p.got, p.err)
	}
	row, err := Read(t.Context(), p.hand, p.id)
	if err != nil || row.Phase != Paused || row.Alive || row.Deleted != p.got.Deleted || row.Cursor.Page != p.got.Cursor.Page {
		t.Errorf("paused row %+v, %v", row, err)
	}
	left := p.server.Value(t, "SELECT count(*) FROM sessions WHERE "+doomed)
	if left != strconv.FormatInt(p.gone-row.Deleted, 10) || left == "0" {
		t.Errorf("%s doomed rows left of %d after %d", left, p.gone, row.Deleted)
	}
	if n := p.server.Value(t, fmt.Sprintf("SELECT count(*) FROM sessions WHERE ctid < '(%d,0)' AND %s", row.Cursor.Page, doomed)); n != "0" {
		t.Errorf("%s doomed rows before the cursor", n)
	}
	p.at = launch(t, p.config, p.id)
	p.ends(t)
}

// TestPairLost: the first session's end takes the second's batch back, and the
// other way round; the sweep goes on from what the database knows.
func TestPairLost(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]string{"first": "IN", "second": "NOT IN"} {
		t.Run(name, func(t *testing.T) {
			p := newPairing(t, "")
			p.launch(t)
			// Between two deletes it is in a commit, and is not found.
			p.until("its session is ended", func(Progress) bool {
				tag, err := p.hand.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'spillway sweep test' AND pid <> pg_backend_pid() AND query LIKE '%spillway_leg_%'
					AND pid `+which+` (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)`)
				if err != nil {
					t.Fatal(err)
				}
				return tag.RowsAffected() == 1
			})
			p.ends(t)
			if p.count(bothBack)+p.count(connection) == 0 {
				t.Error("no session was missed")
			}
		})
	}
}

// TestPairRewritten: a VACUUM FULL comes in between two batches.
func TestPairRewritten(t *testing.T) {
	t.Parallel()
	p := newPairing(t, "")
	p.launch(t)
	p.do(t, "VACUUM FULL sessions")
	p.ends(t)
	if p.count(rewritten) == 0 {
		t.Error("it came too late")
	}
}

// TestPairCompany: when others come batches go one at a time, in one session.
func TestPairCompany(t *testing.T) {
	t.Parallel()
	p := newPairing(t, "")
	p.launch(t)
	crowd := newCrowd(t, p.server, 3)
	p.until("it gives its second session up", func(Progress) bool { return p.count(endsSecond) > 0 })
	from := p.count(besides)
	at := p.now().Deleted
	p.until("rows go", func(now Progress) bool { return now.Deleted > at })
	if n := p.count(besides); n != from {
		t.Errorf("%d batches beside another, %d when others came", n, from)
	}
	crowd.leave()
	p.ends(t)
}

// TestPairRefused: without a place for a second session the first does it all.
func TestPairRefused(t *testing.T) {
	t.Parallel()
	p := newPairing(t, "CREATE ROLE sweeper LOGIN; GRANT pg_monitor TO sweeper; GRANT SELECT, DELETE ON sessions TO sweeper")
	p.server.Exec(t, "GRANT USAGE ON SCHEMA spillway TO sweeper; GRANT ALL ON spillway.sweep TO sweeper; ALTER ROLE sweeper CONNECTION LIMIT 2")
	p.config.Dial = dialer(p.server.URL(pgtest.Login{User: "sweeper"}))
	p.at = launch(t, p.config, p.id)
	p.ends(t)
	if p.count(noSecond) != 1 || p.count(besides) != 0 {
		t.Error("it did not go on with one session")
	}
}

// TestPairSeal: a batch of the second session is committed with the fence and
// the first session's lock, and not without.
func TestPairSeal(t *testing.T) {
	t.Parallel()
	p := newPairing(t, "")
	for _, test := range []struct {
		name, spoil string
		kept        bool
	}{
		{"nothing happens", "SELECT 1", true},
		{"another runner", "UPDATE spillway.sweep SET fence = fence + 1", false},
		{"the first session is gone", "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks WHERE locktype = 'advisory' AND granted", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &runner{config: p.config, started: time.Now()}
			defer r.close()
			if err := r.begin(t.Context(), p.id); err != nil {
				t.Fatal(err)
			}
			if err := r.outfit(); err != nil {
				t.Fatal(err)
			}
			b, err := r.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r.pair.may = true
			if !r.pairs(t.Context(), b) {
				t.Fatal("no second session")
			}
			before := p.server.Value(t, "SELECT count(*) FROM sessions")
			f, err := r.launch(t.Context(), b, r.pair.second)
			if err != nil {
				t.Fatal(err)
			}
			<-f.ended
			if f.err != nil || f.deleted == 0 {
				t.Fatalf("%d rows deleted, %v", f.deleted, f.err)
			}
			p.do(t, test.spoil)
			_, err = r.seal(t.Context(), f)
			if (err == nil) != test.kept {
				t.Errorf("sealed: %v", err)
			}
			after := p.server.Value(t, "SELECT count(*) FROM sessions")
			if (after != before) != test.kept {
				t.Errorf("%s rows before, %s after", before, after)
			}
		})
	}
	p.at = launch(t, p.config, p.id)
	p.ends(t)
}

// TestPairFenced: a runner that was fenced with two batches in flight commits
// neither, and says why it ends.
func TestPairFenced(t *testing.T) {
	t.Parallel()
	p := newPairing(t, "")
	p.launch(t)
	p.do(t, "UPDATE spillway.sweep SET fence = fence + 1")
	<-p.done
	if !errors.Is(p.err, ErrFenced) {
		t.Errorf("fenced runner: %v", p.err)
	}
	p.at = launch(t, p.config, p.id)
	p.ends(t)
}
