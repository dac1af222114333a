package tools

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

// patience bounds any one program on a busy machine.
const patience = 2 * time.Minute

// house is a PostgreSQL with a Spillway before it in each of the two modes that
// tools meet.
type house struct {
	pg    *pgtest.Server
	modes map[string]*pgtest.Pooler
}

func build(t *testing.T) *house {
	t.Helper()
	h := &house{modes: map[string]*pgtest.Pooler{}}
	h.pg = pgtest.Start(t, pgtest.Options{Settings: map[string]string{"wal_level": "logical", "max_wal_senders": "5", "max_replication_slots": "5"}})
	for _, mode := range []string{"session", "transaction"} {
		h.modes[mode] = pgtest.Serve(t, pgtest.SpillwayKind("", mode), pgtest.PoolerConfig{Server: h.pg, PoolSize: 20, MaxClients: 200})
	}
	return h
}

// eachMode runs test through Spillway in session and in transaction mode.
func (h *house) eachMode(t *testing.T, test func(t *testing.T, p *pgtest.Pooler)) {
	t.Helper()
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) { test(t, h.modes[mode]) })
	}
}

// tool runs a PostgreSQL client program against p and returns what it printed.
// A failure fails the test with its words.
func tool(t *testing.T, p *pgtest.Pooler, name string, args ...string) string {
	t.Helper()
	path, err := pgtest.Binary(name)
	if err != nil {
		t.Fatal(err)
	}
	return program(t, p, path, args...)
}

func program(t *testing.T, p *pgtest.Pooler, path string, args ...string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "PGHOST="+p.Host, "PGPORT="+strconv.Itoa(p.Port), "PGUSER=postgres", "PGSSLMODE=disable", "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", path, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// database makes an empty database that ends with the server.
func (h *house) database(t *testing.T, name string) string {
	t.Helper()
	h.pg.Exec(t, "CREATE DATABASE "+name)
	return name
}

// digest tells two tables' contents apart.
func (h *house) digest(t *testing.T, database, table string) string {
	t.Helper()
	rows, err := h.pg.QueryIn(database, fmt.Sprintf("SELECT count(*), md5(coalesce(string_agg(md5(t::text), '' ORDER BY t::text), '')) FROM %s t", table))
	if err != nil {
		t.Fatal(err)
	}
	return rows[0][0] + " rows, " + rows[0][1]
}
