package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/act"
	"spillway/internal/proxy"
	"spillway/internal/statement"
)

// foreign is the ground of a server's connections that do not come through
// Spillway. The name may be left out when there is one server only.
func (d *actDesk) foreign(server string) (act.Ground, error) {
	names := slices.Sorted(maps.Keys(d.current().Policy().Upstreams))
	if server == "" && len(names) == 1 {
		server = names[0]
	}
	if !slices.Contains(names, server) {
		return nil, &act.Refusal{Why: act.Unknown, Text: fmt.Sprintf("there is no server %q", server), Hint: "Servers are " + strings.Join(names, ", ") + "."}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.foreigners[server]
	if g == nil {
		g = &foreignGround{seam: d.seam, lines: d.lines, server: server}
		d.foreigners[server] = g
	}
	return g, nil
}

// foreignGround shows and strikes connections of a server that are not ours.
// Times are the server's, moved by what its clock differs from ours.
type foreignGround struct {
	*seam
	lines  *lines
	server string
	skew   atomic.Int64 // ns to add to the server's times
}

// clockSlack is how much two readings of a clock's difference may differ before
// the newer one counts: targets are told again by their times.
const clockSlack = 2 * time.Second

// maxForeign bounds what is read of pg_stat_activity.
const maxForeign = 5000

const foreignQuery = `SELECT pg_catalog.clock_timestamp(), pid, coalesce(usename, ''), coalesce(datname, ''), coalesce(application_name, ''), coalesce(client_addr::text, 'unix'),
  coalesce(client_port, 0), backend_type, coalesce(state, ''), backend_start, xact_start, query_start, state_change, coalesce(query, '')
 FROM pg_catalog.pg_stat_activity WHERE backend_type IN ('client backend', 'walsender') AND pid <> pg_catalog.pg_backend_pid() ORDER BY backend_start LIMIT $1`

// foreigner is a row of foreignQuery.
type foreigner struct {
	act.Holder
	port                       int
	kind                       string
	started, txn, query, state *time.Time
}

// Holders implements act.Ground. Ours are asked for after the server's: one that
// was opened meanwhile is known by then.
func (g *foreignGround) Holders(ctx context.Context) ([]act.Holder, error) {
	rows, err := g.read(ctx)
	if err != nil {
		return nil, err
	}
	servers, err := g.hot.Servers(ctx)
	if err != nil {
		return nil, fmt.Errorf("tell our own connections: %w", err)
	}
	pids, ports := map[int]bool{}, map[int]bool{}
	for i := range servers {
		pids[servers[i].RemotePID], ports[servers[i].LocalPort] = true, servers[i].LocalPort != 0
	}
	up := g.current().Policy().Upstreams[g.server]
	operators := g.current().Policy().Auth.Operators
	var list []act.Holder
	for i := range rows {
		f := &rows[i]
		if pids[f.PID] || ports[f.port] {
			continue
		}
		f.Guarded = foreignGuard(f, operators)
		if up != nil && f.User == up.User && strings.HasPrefix(f.Application, "spillway") {
			f.Guarded = "spillway"
		}
		list = append(list, f.Holder)
	}
	return list, nil
}

// foreignGuard says why a connection is left alone unless its pid is named.
func foreignGuard(f *foreigner, operators []string) string {
	switch {
	case f.kind == "walsender":
		return "replication"
	case f.State == "":
		return "unseen" // the maintenance role may not see what it does
	case slices.Contains(operators, f.User):
		return "operator"
	}
	return proxy.GuardOf(f.Application, f.SQL, f.State == "active")
}

func (g *foreignGround) read(ctx context.Context) ([]foreigner, error) {
	var list []foreigner
	err := g.lines.with(ctx, g.server, func(conn *pgx.Conn) (err error) {
		list, err = g.rows(ctx, conn)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read connections of %s: %w", g.server, err)
	}
	return list, nil
}

func (g *foreignGround) rows(ctx context.Context, conn *pgx.Conn) ([]foreigner, error) {
	rows, err := conn.Query(ctx, foreignQuery, maxForeign)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (foreigner, error) {
		var f foreigner
		var at time.Time
		var text string
		err := row.Scan(&at, &f.PID, &f.User, &f.Database, &f.Application, &f.Addr, &f.port, &f.kind, &f.State,
			&f.started, &f.txn, &f.query, &f.state, &text)
		if err == nil {
			g.fill(&f, at, text)
		}
		return f, err
	})
}

// fill turns a row into a holder in our clock.
func (g *foreignGround) fill(f *foreigner, at time.Time, text string) {
	skew := time.Until(at) * -1
	if old := time.Duration(g.skew.Load()); (old - skew).Abs() < clockSlack {
		skew = old
	} else {
		g.skew.Store(int64(skew))
	}
	ours := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return t.Add(skew)
	}
	f.Server, f.BackendAt, f.TransactionAt = g.server, ours(f.started), ours(f.txn)
	if f.State == "active" {
		f.QueryAt = ours(f.query)
	} else {
		f.IdleAt = ours(f.state)
	}
	f.Fingerprint = ""
	if text != "" {
		f.Fingerprint = printText(statement.Print([]byte(text)))
		f.SQL = string(statement.Redact(nil, []byte(text), true, 500))
	}
}

// strikeForeign acts on one backend if all of it is as it was seen, which the
// server checks as it acts. After a cancel ($6) a transaction may have gone on
// to be idle: it is still what was meant.
const strikeForeign = `SELECT CASE WHEN $6 THEN pg_catalog.pg_terminate_backend(pid) WHEN state = 'active' THEN pg_catalog.pg_cancel_backend(pid) ELSE false END, coalesce(state, '')
 FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND backend_start = $2 AND xact_start IS NOT DISTINCT FROM $3
   AND (coalesce(state, '') = 'active' AND query_start = $4 OR coalesce(state, '') <> 'active' AND state_change = $5 OR $6 AND $3::timestamptz IS NOT NULL)`

// Strike implements act.Ground. What is idle cannot be cancelled: it has the
// grace to go on, then it is terminated.
func (g *foreignGround) Strike(ctx context.Context, targets []act.Holder, terminate bool, _ string) ([]string, error) {
	outcomes := make([]string, len(targets))
	for i := range outcomes {
		outcomes[i] = "gone"
	}
	return outcomes, g.lines.with(ctx, g.server, func(conn *pgx.Conn) (err error) {
		for i := range targets {
			if outcomes[i], err = g.one(ctx, conn, &targets[i], terminate); err != nil {
				return err
			}
		}
		return nil
	})
}

func (g *foreignGround) one(ctx context.Context, conn *pgx.Conn, t *act.Holder, terminate bool) (string, error) {
	skew := time.Duration(g.skew.Load())
	theirs := func(at time.Time) *time.Time {
		if at.IsZero() {
			return nil
		}
		moved := at.Add(-skew).Round(time.Microsecond)
		return &moved
	}
	var done bool
	var state string
	err := conn.QueryRow(ctx, strikeForeign, t.PID, theirs(t.BackendAt), theirs(t.TransactionAt), theirs(t.QueryAt), theirs(t.IdleAt), terminate).Scan(&done, &state)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "gone", nil
	case err != nil && conn.IsClosed():
		return "gone", fmt.Errorf("strike pid %d of %s: %w", t.PID, g.server, err)
	case err != nil:
		return "refused: " + err.Error(), nil // a right is missing; the others have their turn
	case terminate:
		return "terminated", nil
	case done:
		return "cancelled", nil
	}
	return "idle", nil
}
