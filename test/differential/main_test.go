package differential

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	gosync "sync"
	"testing"

	"spillway/internal/pgtest"
)

var (
	update = flag.Bool("update", false, "rewrite the golden transcripts from PostgreSQL's answers")
	seed   = flag.Uint64("seed", 0, "seed of generated scripts and of splitting; 0 takes a new one")
)

// goldenMajor is the version of PostgreSQL that testdata was written by.
// Others word some errors differently.
const goldenMajor = "15"

// fixtured starts PostgreSQL with the fixture in a database of its own.
func fixtured(t *testing.T) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"max_connections": "60"}})
	s.Exec(t, "CREATE DATABASE diff")
	if _, err := s.QueryIn("diff", fixture); err != nil {
		t.Fatal(err)
	}
	return s
}

// pooled starts a pooler with few servers, so that transactions of one client
// run on many.
func pooled(t *testing.T, k pgtest.Kind, s *pgtest.Server) *pgtest.Pooler {
	t.Helper()
	size := 3
	if k.Mode == "session" {
		size = 20
	}
	return pgtest.Serve(t, k, pgtest.PoolerConfig{Server: s, PoolSize: size, Users: map[string]string{"postgres": "", "login_role": ""}})
}

// direct plays a script on PostgreSQL itself.
func direct(t *testing.T, s *pgtest.Server, sc script) []string {
	t.Helper()
	lines, err := place{addr: s.Addr(), database: "diff"}.play(sc)
	if err != nil {
		t.Fatalf("direct: %v\n%s", err, tail(lines))
	}
	return lines
}

func tail(lines []string) string { return strings.Join(lines[max(0, len(lines)-15):], "\n") }

func seedOf(t *testing.T) uint64 {
	t.Helper()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed %d", s)
	return s
}

func TestGoldenTranscripts(t *testing.T) {
	s := fixtured(t)
	version := s.Value(t, "SHOW server_version")
	for _, sc := range goldenScripts() {
		t.Run(sc.name, func(t *testing.T) {
			got := direct(t, s, sc)
			file := filepath.Join("testdata", strings.ReplaceAll(sc.name, " ", "-")+".golden")
			body := strings.Join(shortened(withoutGreeting(got)), "\n") + "\n"
			if *update {
				if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("read golden transcript (make it with -update): %v", err)
			}
			if !strings.HasPrefix(version, goldenMajor) {
				t.Logf("PostgreSQL %s, not %s: its wording is not compared", version, goldenMajor)
				return
			}
			if diff := firstDifference(strings.Split(string(want), "\n"), strings.Split(body, "\n")); diff != "" {
				t.Errorf("PostgreSQL no longer says what %s has (direct is the file):\n%s", file, diff)
			}
		})
	}
}

// withoutGreeting leaves out what depends on the machine.
func withoutGreeting(lines []string) []string {
	for i, line := range lines {
		if strings.HasPrefix(line, "> ") {
			return lines[i:]
		}
	}
	return nil
}

// shortened puts one line for the middle of a long run of lines that begin
// alike, with a hash of what it stands for.
func shortened(lines []string) []string {
	const most = 20
	var short []string
	for len(lines) > 0 {
		kind := kindOf(lines[0])
		n := 1
		for n < len(lines) && kindOf(lines[n]) == kind {
			n++
		}
		if n <= most {
			short = append(short, lines[:n]...)
		} else {
			middle := strings.Join(lines[3:n-3], "\n")
			short = append(short, lines[:3]...)
			short = append(short, fmt.Sprintf("%s (%d more, sha256 %.6x)", kind, n-6, sha256.Sum256([]byte(middle))))
			short = append(short, lines[n-3:n]...)
		}
		lines = lines[n:]
	}
	return short
}

// kindOf is the direction and the first word of a line.
func kindOf(line string) string {
	words := strings.SplitN(line, " ", 3)
	return strings.Join(words[:min(2, len(words))], " ")
}

// clients is how many play a script at once: enough to need each other's
// servers in transaction mode.
const clients = 5

// differing are the golden scripts that transaction mode is known not to follow
// yet, with the reason; README says so to users.
var differing = map[string]string{
	"parameters of the startup packet": "several RESETs in one text go to the server's default, not to the client's startup value",
}

func TestPooledSaysTheSame(t *testing.T) {
	s := fixtured(t)
	seed := seedOf(t)
	wanted := map[string][]string{}
	for _, sc := range goldenScripts() {
		wanted[sc.name] = direct(t, s, sc)
	}
	for _, k := range pgtest.AllKinds(t, "session", "transaction") {
		t.Run(strings.ReplaceAll(k.String(), "/", " "), func(t *testing.T) {
			p := pooled(t, k, s)
			for _, sc := range goldenScripts() {
				if why, known := differing[sc.name]; known && k.Mode == "transaction" {
					t.Logf("%s: not played: %s", sc.name, why)
					continue
				}
				t.Run(sc.name, func(t *testing.T) {
					compareMany(t, p, k, seed, func(int) (script, []string) { return sc, wanted[sc.name] })
				})
			}
		})
	}
}

func TestGeneratedScriptsSayTheSame(t *testing.T) {
	s := fixtured(t)
	seed := seedOf(t)
	const rounds = 20
	for _, k := range pgtest.AllKinds(t, "session", "transaction") {
		t.Run(strings.ReplaceAll(k.String(), "/", " "), func(t *testing.T) {
			p := pooled(t, k, s)
			for round := range rounds {
				t.Run(fmt.Sprint(round), func(t *testing.T) {
					compareMany(t, p, k, seed+uint64(round), func(client int) (script, []string) {
						sc := generate(rand.New(rand.NewPCG(seed+uint64(round), uint64(client))), client)
						return sc, direct(t, s, sc)
					})
				})
			}
		})
	}
}

// compareMany plays scripts by several clients at once and compares each with
// what PostgreSQL said.
func compareMany(t *testing.T, p *pgtest.Pooler, k pgtest.Kind, seed uint64, pick func(client int) (script, []string)) {
	t.Helper()
	type outcome struct {
		want, got []string
		err       error
	}
	first, _ := pick(0)
	n := clients
	if first.alone {
		n = 1
	}
	outcomes := make([]outcome, n)
	var all gosync.WaitGroup
	for i := range outcomes {
		sc, want := pick(i)
		outcomes[i].want = want
		all.Go(func() {
			where := place{addr: p.Addr(), database: "diff", split: rand.New(rand.NewPCG(seed, uint64(i))), wholeHello: k.Program == "pgbouncer"}
			if i == n-1 {
				where.split = nil // one sends whole messages, as drivers do
			}
			outcomes[i].got, outcomes[i].err = where.play(sc)
		})
	}
	all.Wait()
	for i, o := range outcomes {
		if o.err != nil {
			t.Errorf("%s, client %d: %v, after:\n%s", k, i, o.err, tail(o.got))
			return
		}
		if diff := firstDifference(o.want, o.got); diff != "" {
			t.Errorf("%s, client %d (seed %d):\n%s", k, i, seed, diff)
			return
		}
	}
}
