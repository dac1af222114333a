package tools

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

// TestPsqlCopy: a file into a table and out again, byte for byte, and psql's
// own commands beside it.
func TestPsqlCopy(t *testing.T) {
	h := build(t)
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "%d\tline %d\t%s\n", i, i, strings.Repeat("x", i%200))
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "in.tsv")
	if err := os.WriteFile(in, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	h.eachMode(t, func(t *testing.T, p *pgtest.Pooler) {
		out := filepath.Join(t.TempDir(), "out.tsv")
		said := tool(t, p, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", h.database(t, "copy_"+p.Kind.Mode),
			"-c", "CREATE TABLE lines (id int, line text, more text)",
			"-c", `\copy lines FROM '`+in+`'`,
			"-c", `\copy (SELECT * FROM lines ORDER BY id) TO '`+out+`'`,
			"-c", `\d lines`,
			"-c", `SELECT count(*) FROM lines`)
		if !strings.Contains(said, "COPY 100000") || !strings.Contains(said, " 100000\n") {
			t.Errorf("psql said %q", said)
		}
		got, err := os.ReadFile(out)
		if err != nil || string(got) != text.String() {
			t.Errorf("out of the table came %d bytes of %d, %v", len(got), text.Len(), err)
		}
	})
}

// TestPgbench: every script and protocol of pgbench; afterwards the balances
// of TPC-B agree with its history, so nothing was lost or done twice.
func TestPgbench(t *testing.T) {
	h := build(t)
	h.eachMode(t, func(t *testing.T, p *pgtest.Pooler) {
		db := h.database(t, "bench_"+p.Kind.Mode)
		tool(t, p, "pgbench", "-i", "-q", "-s", "1", db)
		done := 0
		for _, protocol := range []string{"simple", "extended", "prepared"} {
			for _, script := range [][]string{{"-S"}, {"-N"}, {}, {"-C", "-t", "10"}} {
				args := append([]string{"-n", "-M", protocol, "-c", "8", "-j", "2", "-t", "100"}, script...)
				said := tool(t, p, "pgbench", append(args, db)...)
				m := regexp.MustCompile(`actually processed: (\d+)/(\d+)`).FindStringSubmatch(said)
				if m == nil || m[1] != m[2] || !strings.Contains(said, "number of failed transactions: 0 ") {
					t.Errorf("-M %s %v: %s", protocol, script, said)
					continue
				}
				if n, _ := strconv.Atoi(m[1]); len(script) == 0 || script[0] == "-C" {
					done += n
				}
			}
		}
		rows, err := h.pg.QueryIn(db, `SELECT (SELECT sum(bbalance) FROM pgbench_branches) - (SELECT sum(tbalance) FROM pgbench_tellers),
			(SELECT sum(abalance) FROM pgbench_accounts) - (SELECT sum(delta) FROM pgbench_history),
			(SELECT count(*) FROM pgbench_history)`)
		if err != nil {
			t.Fatal(err)
		}
		// -N writes history as well: three protocols by 8 clients by 100.
		if want := strconv.Itoa(done + 2400); rows[0][0] != "0" || rows[0][1] != "0" || rows[0][2] != want {
			t.Errorf("branches less tellers %s, accounts less history %s, history of %s, want %s", rows[0][0], rows[0][1], rows[0][2], want)
		}
	})
}

// TestDumpAndRestore: a dump through Spillway, restored through Spillway by two
// workers, is the same database.
func TestDumpAndRestore(t *testing.T) {
	h := build(t)
	source := h.database(t, "source")
	if _, err := h.pg.QueryIn(source, `CREATE TABLE part (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
		CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2025-01-01') TO ('2025-07-01');
		CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM ('2025-07-01') TO ('2026-01-01');
		INSERT INTO part SELECT i, date '2025-01-01' + i % 365 FROM generate_series(1, 5000) i;
		CREATE TABLE blobs (id serial PRIMARY KEY, b bytea, t text, j jsonb);
		INSERT INTO blobs (b, t, j) SELECT decode(md5(i::text), 'hex'), repeat('ß', i % 100), jsonb_build_object('i', i) FROM generate_series(1, 20000) i;
		CREATE INDEX ON blobs (t); CREATE VIEW v AS SELECT count(*) FROM blobs; CREATE SEQUENCE s START 77;
		CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';
		SELECT lo_from_bytea(0, 'a large object')`); err != nil {
		t.Fatal(err)
	}
	h.eachMode(t, func(t *testing.T, p *pgtest.Pooler) {
		target := h.database(t, "target_"+p.Kind.Mode)
		dump := filepath.Join(t.TempDir(), "dump")
		tool(t, p, "pg_dump", "-Fd", "-j", "2", "-f", dump, source)
		tool(t, p, "pg_restore", "-j", "2", "-d", target, dump)
		for _, table := range []string{"part", "blobs", "v", "pg_largeobject"} {
			if want, got := h.digest(t, source, table), h.digest(t, target, table); got != want {
				t.Errorf("%s: %s, want %s", table, got, want)
			}
		}
		plain := filepath.Join(t.TempDir(), "plain.sql")
		tool(t, p, "pg_dump", "-f", plain, source)
		again := h.database(t, "again_"+p.Kind.Mode)
		tool(t, p, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", again, "-f", plain)
		if want, got := h.digest(t, source, "blobs"), h.digest(t, again, "blobs"); got != want {
			t.Errorf("plain dump: %s, want %s", got, want)
		}
	})
}

// TestLogicalReplication: pg_recvlogical makes a slot, streams and drops it
// through a pool of mode session.
func TestLogicalReplication(t *testing.T) {
	h := build(t)
	p := h.modes["session"]
	db := h.database(t, "changes")
	if _, err := h.pg.QueryIn(db, "CREATE TABLE t (id int PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	tool(t, p, "pg_recvlogical", "-d", db, "--slot", "s1", "--plugin", "test_decoding", "--create-slot")
	out := filepath.Join(t.TempDir(), "changes")
	path, err := pgtest.Binary("pg_recvlogical")
	if err != nil {
		t.Fatal(err)
	}
	receive := exec.Command(path, "-h", p.Host, "-p", strconv.Itoa(p.Port), "-U", "postgres", "-d", db, "--slot", "s1", "--start", "-F", "0", "-s", "1", "-f", out)
	if err := receive.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receive.Process.Kill(); _ = receive.Wait() })
	for i := range 500 {
		if _, err := h.pg.QueryIn(db, fmt.Sprintf("INSERT INTO t VALUES (%d)", i)); err != nil {
			t.Fatal(err)
		}
	}
	var text []byte
	for deadline := time.Now().Add(patience); !strings.Contains(string(text), "id[integer]:499"); time.Sleep(50 * time.Millisecond) {
		if text, err = os.ReadFile(out); err != nil && !os.IsNotExist(err) || time.Now().After(deadline) {
			t.Fatalf("%d bytes of changes came, %v", len(text), err)
		}
	}
	if n := strings.Count(string(text), "INSERT:"); n != 500 {
		t.Errorf("%d inserts came, want 500", n)
	}
	if err := receive.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := receive.Wait(); err != nil {
		t.Errorf("pg_recvlogical: %v", err)
	}
	tool(t, p, "pg_recvlogical", "-d", db, "--slot", "s1", "--drop-slot")
	if n := h.pg.Value(t, "SELECT count(*) FROM pg_replication_slots"); n != "0" {
		t.Errorf("%s slots are left", n)
	}
}

// TestBaseBackup: physical replication passes through as well.
func TestBaseBackup(t *testing.T) {
	h := build(t)
	dir := filepath.Join(t.TempDir(), "base")
	tool(t, h.modes["session"], "pg_basebackup", "-D", dir, "-X", "stream", "-c", "fast")
	if st, err := os.Stat(filepath.Join(dir, "PG_VERSION")); err != nil || st.Size() == 0 {
		t.Errorf("no backup: %v", err)
	}
}
