package run

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/target"
)

// rounds is how often a sweep is killed to its end: SPILLWAY_SWEEP=long is the
// acceptance.
func rounds() int {
	if os.Getenv("SPILLWAY_SWEEP") == "long" {
		return 100
	}
	return 9 // each strategy with each way to keep rows
}

// crashRows are few enough for a dozen rounds and, at this rate, last longer
// than a kill takes to come.
const crashRows, crashRate = 8_000, 10_000

// TestKilled: whichever side is killed with -9 wherever, and however often, the
// rows that go are exactly those doomed at the cut-off, and each is counted and
// kept once.
func TestKilled(t *testing.T) {
	t.Parallel()
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	s := pgtest.Start(t, pgtest.Options{})
	strategies := []plan.Strategy{plan.TID, plan.PK, plan.Keyset}
	keeps := []string{"", "kept", "file"}
	total, begun := 0, time.Now()
	for round := range rounds() {
		k := &killer{server: s, binary: binary, strategy: strategies[round%3], keep: keeps[round/3%3]}
		if k.keep == "file" {
			k.keep = filepath.Join(t.TempDir(), fmt.Sprintf("kept%d.copy", round))
		}
		total += k.round(t)
		if t.Failed() {
			t.Fatalf("round %d, strategy %s, keep %q", round, k.strategy, k.keep)
		}
	}
	t.Logf("%d rounds, %d kills, %s", rounds(), total, time.Since(begun).Round(time.Second))
}

// TestKilledPaired is TestKilled with two batches in flight at each kill, and
// TestKilledBrief with batches of one statement, beside somebody else.
func TestKilledPaired(t *testing.T) {
	t.Parallel()
	killedAt(t, killer{seed: seedMany, moment: "count(*) FILTER (WHERE query LIKE 'BEGIN; EXECUTE spillway_leg_%' AND state <> 'idle') = 2"})
}

func TestKilledBrief(t *testing.T) {
	t.Parallel()
	killedAt(t, killer{seed: func(t testing.TB, s *pgtest.Server) { seed(t, s, crashRows, 90) }, moment: "count(*) FILTER (WHERE query LIKE '%spillway_brief_%') > 0", company: true})
}

// killedAt kills at some of the moments of k.
func killedAt(t *testing.T, k killer) {
	binary, err := pgtest.SpillwayBinary()
	if err != nil {
		t.Fatal(err)
	}
	k.server, k.binary, k.strategy = pgtest.Start(t, pgtest.Options{}), binary, plan.TID
	total := 0
	for round := range max(rounds()/4, 2) {
		if !k.company {
			k.keep = []string{"", "kept"}[round%2]
		}
		total += k.round(t)
		if t.Failed() {
			t.Fatalf("round %d, keep %q", round, k.keep)
		}
	}
	if k.met == 0 {
		t.Error("no kill met its moment")
	}
	t.Logf("%d kills of the command, %d kills at the moment", total, k.met)
}

// killer runs one round.
type killer struct {
	server   *pgtest.Server
	binary   string
	strategy plan.Strategy
	keep     string

	seed    func(testing.TB, *pgtest.Server) // nil: that of most tests
	moment  string                           // SQL about the sweep's sessions: kill when it is true; "" = at random
	met     int                              // kills at the moment
	company bool                             // somebody else is there
}

func (k *killer) round(t *testing.T) (kills int) {
	s := k.server
	if k.seed != nil {
		k.seed(t, s)
	} else {
		seed(t, s, crashRows, 90)
	}
	s.Exec(t, "DROP TABLE IF EXISTS kept; DROP TABLE IF EXISTS was; CREATE TABLE was AS SELECT * FROM sessions WHERE "+doomed)
	want := survivors(t, s, "NOT "+doomed)
	args := []string{"sweep", "run", "sessions", "--where", doomed, "--yes", "--no-vacuum", "--strategy", string(k.strategy), "--url", s.URL(pgtest.Login{})}
	if k.moment == "" {
		args = append(args, "--rate", strconv.Itoa(crashRate))
	}
	if k.company {
		// The smallest batches there are, for long enough, however fast the machine.
		args = append(args, "--batch", "10us", "--rate", "2000")
	}
	if k.keep != "" {
		args = append(args, "--keep-in", k.keep)
	}
	for {
		finished := k.once(t, args, kills)
		if finished {
			break
		}
		kills++
		id := k.unfinished(t)
		if id == "" && k.any(t) {
			break // done was written down; it was killed on its way out
		}
		if id != "" {
			args = []string{"sweep", "resume", id, "--url", s.URL(pgtest.Login{})}
		}
		if kills > 40 {
			t.Fatal("it does not come to an end")
		}
	}
	k.check(t, want)
	return kills
}

// once runs the command and kills it, or PostgreSQL under it, at some moment.
// A command that survives PostgreSQL's death goes on by itself. The more kills
// there were, the later they come: a slow machine gets somewhere too.
func (k *killer) once(t *testing.T, args []string, kills int) (finished bool) {
	cmd := exec.Command(k.binary, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if k.early(t, ended, kills) {
		if err := <-ended; err != nil {
			t.Fatalf("%v: %v\n%s", args, err, &out)
		}
		return true
	}
	if rand.IntN(2) == 0 {
		_ = cmd.Process.Kill() // it may have ended this moment
		return <-ended == nil
	}
	if err := k.server.Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := k.server.Resume(); err != nil {
		t.Fatal(err)
	}
	if rand.IntN(2) == 0 {
		_ = cmd.Process.Kill() // likewise
		return <-ended == nil
	}
	select {
	case err := <-ended:
		if err != nil && k.unfinished(t) == "" && k.any(t) {
			t.Fatalf("%v: %v\n%s", args, err, &out)
		}
		return err == nil
	case <-time.After(3 * time.Minute):
		_ = cmd.Process.Kill()
		<-ended
		t.Fatalf("the command hangs after PostgreSQL's restart:\n%s", &out)
	}
	return false
}

// early waits for the moment to kill and says whether the command ended before it.
func (k *killer) early(t *testing.T, ended <-chan error, kills int) bool {
	if k.moment == "" {
		for end := time.Now().Add(time.Duration(50+rand.IntN(900)*(1+kills/5)) * time.Millisecond); len(ended) == 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		return len(ended) > 0
	}
	var others *pgx.Conn
	if k.company {
		others = pgtest.Connect(t, k.server.URL(pgtest.Login{}))
		defer target.Close(others)
	}
	for looks := 1 + rand.IntN(8); len(ended) == 0; time.Sleep(time.Millisecond) {
		if kills >= 6 {
			continue // that is enough; now it gets to its end
		}
		if others != nil {
			if _, err := others.Exec(t.Context(), "SELECT 1"); err != nil {
				t.Fatal(err)
			}
		}
		if k.now(t) {
			looks--
		}
		if looks == 0 {
			k.met++
			return false
		}
	}
	return true
}

// now says whether this is a moment to kill at. Its own session looks like a
// sweep's to the brakes.
func (k *killer) now(t *testing.T) (is bool) {
	conn, err := dialer(k.server.URL(pgtest.Login{}))(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close(conn)
	if err := conn.QueryRow(t.Context(), "SELECT "+k.moment+" FROM pg_stat_activity WHERE application_name LIKE 'spillway sweep%' AND pid <> pg_backend_pid()").Scan(&is); err != nil {
		t.Fatal(err)
	}
	return is
}

// any says whether a sweep of this table was written down at all.
func (k *killer) any(t *testing.T) bool {
	if k.server.Value(t, "SELECT to_regclass('spillway.sweep') IS NOT NULL") != "t" {
		return false
	}
	return k.server.Value(t, "SELECT count(*) FROM spillway.sweep WHERE relation = 'sessions'::regclass") != "0"
}

func (k *killer) unfinished(t *testing.T) string {
	if !k.any(t) {
		return ""
	}
	rows := k.server.Exec(t, "SELECT id FROM spillway.sweep WHERE relation = 'sessions'::regclass AND phase <> 'done'")
	if len(rows) == 0 {
		return ""
	}
	return rows[0][0]
}

func (k *killer) check(t *testing.T, want string) {
	s := k.server
	if left := survivors(t, s, "true"); left != want {
		t.Errorf("survivors %s, want %s", left, want)
	}
	deleted := s.Value(t, "SELECT deleted FROM spillway.sweep WHERE relation = 'sessions'::regclass")
	if was := s.Value(t, "SELECT count(*) FROM was"); deleted != was {
		t.Errorf("%s rows counted as deleted, want %s", deleted, was)
	}
	switch {
	case k.keep == "":
		return
	case strings.HasPrefix(k.keep, "/"):
		s.Exec(t, "CREATE TABLE kept (LIKE sessions)")
		text, err := os.ReadFile(k.keep)
		if err != nil {
			t.Fatal(err)
		}
		conn := pgtest.Connect(t, s.URL(pgtest.Login{}))
		if _, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader(string(text)), "COPY kept FROM STDIN"); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Value(t, "SELECT count(*) FROM (SELECT * FROM kept EXCEPT ALL SELECT * FROM was) x") + " more, " + s.Value(t, "SELECT count(*) FROM (SELECT * FROM was EXCEPT ALL SELECT * FROM kept) x") + " fewer"; n != "0 more, 0 fewer" {
		t.Errorf("kept: %s than were deleted", n)
	}
}
