package run

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/target"
)

// TestRefusedBegin: an order that is refused after its plan leaves nothing
// behind: no schema, no table, no file.
func TestRefusedBegin(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 1000, 50)
	s.Exec(t, `CREATE TABLE other (id text); CREATE SCHEMA shut;
		CREATE ROLE sweeper LOGIN; GRANT SELECT, DELETE ON sessions TO sweeper; GRANT CREATE ON DATABASE postgres TO sweeper`)
	folder := t.TempDir()
	full := filepath.Join(folder, "full.copy")
	if err := os.WriteFile(full, []byte("rows of before"), 0o600); err != nil {
		t.Fatal(err)
	}
	relations := func() string {
		return s.Value(t, "SELECT count(*) || ' relations, ' || (SELECT count(*) FROM pg_namespace WHERE nspname NOT LIKE 'pg_%') || ' schemas, ' || (SELECT count(*) FROM sessions) || ' rows' FROM pg_class")
	}
	// A first plan touches catalogs of temporary views; it is not what is looked at.
	before := relations()
	for _, test := range []struct{ user, keep, want string }{
		{"", "other", "cannot take the rows"}, {"", "sessions", "cannot be kept in the table they are deleted from"},
		{"", `"x`, "is no table's name"}, {"", "nowhere.kept", "cannot be made"},
		{"", full, "is there and no empty file"}, {"", folder, "is there and no empty file"}, {"", "a/b", "is not absolute"},
		{"", filepath.Join(folder, "no", "such", "folder"), "cannot be written"},
		{"sweeper", "shut.kept", "cannot be made"}, {"sweeper", "other", "cannot take the rows"},
	} {
		_, _, err := tryBegin(t.Context(), s.URL(pgtest.Login{User: test.user}), plan.Order{Table: "sessions", Where: doomed, KeepIn: test.keep}, Options{})
		var refusal *target.Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("keep in %s: %v, want %q", test.keep, err, test.want)
		}
	}
	if after := relations(); after != before {
		t.Errorf("left behind: %s, %s before", after, before)
	}
	// One that comes while another is not over leaves its file and table unmade.
	if _, _, err := tryBegin(t.Context(), s.URL(pgtest.Login{}), plan.Order{Table: "sessions", Where: doomed}, Options{}); err != nil {
		t.Fatal(err)
	}
	before = relations()
	for _, keep := range []string{"kept", filepath.Join(folder, "kept.copy")} {
		if _, _, err := tryBegin(t.Context(), s.URL(pgtest.Login{}), plan.Order{Table: "sessions", Where: doomed, KeepIn: keep}, Options{}); err == nil || !strings.Contains(err.Error(), "is running") {
			t.Errorf("a second sweep: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "kept.copy")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of a refused sweep: %v", err)
	}
	if after := relations(); after != before {
		t.Errorf("left behind: %s, %s before", after, before)
	}
}

// TestLeastRights: a role with SELECT and DELETE, and a schema that was made for
// it, is enough.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 2000, 50)
	s.Exec(t, "CREATE ROLE sweeper LOGIN; GRANT SELECT, DELETE ON sessions TO sweeper; CREATE ROLE late LOGIN; GRANT SELECT, DELETE ON sessions TO late")
	order := plan.Order{Table: "sessions", Where: doomed}
	if _, _, err := tryBegin(t.Context(), s.URL(pgtest.Login{User: "sweeper"}), order, Options{}); err == nil || !strings.Contains(err.Error(), "CREATE SCHEMA spillway AUTHORIZATION") {
		t.Errorf("without a schema: %v", err)
	}
	s.Exec(t, "CREATE SCHEMA spillway AUTHORIZATION sweeper")
	c, id, err := tryBegin(t.Context(), s.URL(pgtest.Login{User: "sweeper"}), order, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Run(t.Context(), c, id); err != nil || got.Phase != Done || got.Deleted == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	s.Exec(t, "GRANT USAGE ON SCHEMA spillway TO late")
	if _, _, err := tryBegin(t.Context(), s.URL(pgtest.Login{User: "late"}), order, Options{}); err == nil || !strings.Contains(err.Error(), "can keep no cursor") {
		t.Errorf("without rights on the table of cursors: %v", err)
	}
}

// TestFileElsewhere: a sweep whose file is on another machine fails and says so,
// and does not go on without what was kept.
func TestFileElsewhere(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 30_000, 96)
	want := survivors(t, s, "NOT "+doomed)
	path := filepath.Join(t.TempDir(), "kept.copy")
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed, KeepIn: path}, Options{Rate: 10_000})
	a := launch(t, c, id)
	a.until("rows go", func(p Progress) bool { return p.Deleted > 0 })
	conn := pgtest.Connect(t, s.URL(pgtest.Login{}))
	if _, err := Ask(t.Context(), conn, id, WantPause); err != nil {
		t.Fatal(err)
	}
	<-a.done
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), c, id); err == nil || !strings.Contains(err.Error(), "is not on this machine") {
		t.Errorf("without the file: %v", err)
	}
	row, err := Read(t.Context(), conn, id)
	if err != nil || row.Phase != Failed || !strings.Contains(row.Reason, "is not on this machine") || row.Deleted != a.got.Deleted {
		t.Errorf("%+v, %v", row, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if got, err := Run(t.Context(), c, id); err != nil || got.Phase != Done {
		t.Errorf("%+v, %v", got, err)
	}
	if left := survivors(t, s, "true"); left != want {
		t.Errorf("survivors %s, want %s", left, want)
	}
}

// TestPausedMeanwhile: a sweep that a person pauses while it has no runner is
// not adopted.
func TestPausedMeanwhile(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 1000, 50)
	c, id := begin(t, s, plan.Order{Table: "sessions", Where: doomed}, Options{})
	conn := pgtest.Connect(t, s.URL(pgtest.Login{}))
	if _, err := Ask(t.Context(), conn, id, WantPause); err != nil {
		t.Fatal(err)
	}
	adopter := c
	adopter.Adopts = true
	if _, err := Run(t.Context(), adopter, id); !errors.Is(err, ErrTaken) {
		t.Errorf("adopted: %v", err)
	}
	if row, err := Read(t.Context(), conn, id); err != nil || row.Phase != Paused || row.Deleted != 0 {
		t.Errorf("%+v, %v", row, err)
	}
	if got, err := Run(t.Context(), c, id); err != nil || got.Phase != Done {
		t.Errorf("resumed by a person: %+v, %v", got, err)
	}
}

// TestThroughPooler: a pooler lends another backend for each transaction.
func TestThroughPooler(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	seed(t, s, 1000, 50)
	for _, kind := range pgtest.Kinds(t, "transaction") {
		if kind.Program == "direct" {
			continue
		}
		pooler := pgtest.Serve(t, kind, pgtest.PoolerConfig{Server: s, Users: map[string]string{"postgres": ""}})
		_, _, err := tryBegin(t.Context(), pooler.URL(pgtest.Login{}), plan.Order{Table: "sessions", Where: doomed}, Options{})
		if err == nil {
			t.Errorf("%s: begun", kind)
			continue
		}
		t.Logf("%s: %v", kind, err)
	}
	if n := s.Value(t, "SELECT count(*) || ' ' || (to_regnamespace('spillway') IS NULL) FROM sessions"); n != "1000 true" {
		t.Errorf("changed: %s", n)
	}
}
