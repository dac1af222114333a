package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sample"
)

// statementsPlace finds pg_stat_statements, whose schema is anybody's choice.
const statementsPlace = `SELECT quote_ident(n.nspname), current_setting('server_version_num')::int FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`

// topMost is how many statements are kept of one reading.
const topMost = 10

// maxStatements bounds what is read at once; the server keeps 5,000 by default.
const maxStatements = 20_000

// topMark is the reading before.
type topMark struct {
	at   time.Time
	seen map[topKey]topCount
}

type topKey struct {
	id     int64
	userID uint32
	dbID   uint32
}

type topCount struct{ calls, millis, rows float64 }

// lookStatements keeps the statements that took most time since the reading
// before. Without the extension there is nothing, which is no failure.
func (s *Server) lookStatements(ctx context.Context) error {
	var top *sample.Statements
	err := s.slow.with(ctx, func(c *pgx.Conn) error {
		var schema string
		var version int
		err := c.QueryRow(ctx, statementsPlace).Scan(&schema, &version)
		if err == pgx.ErrNoRows { //nolint:errorlint // pgx returns it as it is
			return nil
		}
		if err != nil {
			return err
		}
		top, err = s.readTop(ctx, c, schema, version)
		if err != nil && strings.Contains(err.Error(), "shared_preload_libraries") {
			top, err = nil, nil // it was created, and the server does not load it
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read statements: %w", err)
	}
	if top == nil {
		s.statements.Withdraw()
		return nil
	}
	s.statements.Set(top)
	return nil
}

func (s *Server) readTop(ctx context.Context, c *pgx.Conn, schema string, version int) (*sample.Statements, error) {
	took := "total_exec_time"
	if version < 130000 {
		took = "total_time"
	}
	rows, err := c.Query(ctx, fmt.Sprintf(`SELECT queryid, userid, dbid, sum(calls)::float8, sum(%s)::float8, sum(rows)::float8
FROM %s.pg_stat_statements(false) WHERE queryid IS NOT NULL GROUP BY 1, 2, 3 LIMIT %d`, took, schema, maxStatements))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	now := topMark{time.Now(), map[topKey]topCount{}}
	for rows.Next() {
		var k topKey
		var n topCount
		if err := rows.Scan(&k.id, &k.userID, &k.dbID, &n.calls, &n.millis, &n.rows); err != nil {
			return nil, err
		}
		now.seen[k] = n
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	before := s.top
	s.top = now
	if before.seen == nil {
		return nil, nil
	}
	return s.name(ctx, c, schema, costliest(before, now))
}

// costliest are the statements with the most time between two readings.
func costliest(before, now topMark) *sample.Statements {
	top := &sample.Statements{At: now.at, Span: now.at.Sub(before.at)}
	for k, n := range now.seen {
		old := before.seen[k]
		if n.calls < old.calls {
			old = topCount{} // reset meanwhile
		}
		if n.calls > old.calls {
			top.Items = append(top.Items, sample.Statement{ID: k.id, Calls: n.calls - old.calls, Seconds: (n.millis - old.millis) / 1000, Rows: n.rows - old.rows})
		}
	}
	slices.SortFunc(top.Items, func(a, b sample.Statement) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.ID, b.ID))
	})
	top.Items = top.Items[:min(len(top.Items), topMost)]
	return top
}

// name reads the texts of the few that are kept.
func (s *Server) name(ctx context.Context, c *pgx.Conn, schema string, top *sample.Statements) (*sample.Statements, error) {
	ids := make([]int64, len(top.Items))
	for i := range top.Items {
		ids[i] = top.Items[i].ID
	}
	rows, err := c.Query(ctx, fmt.Sprintf(`SELECT queryid, min(left(query, 1000)) FROM %s.pg_stat_statements(true) WHERE queryid = ANY ($1) GROUP BY 1`, schema), ids)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	texts := map[int64]string{}
	for rows.Next() {
		var id int64
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return nil, err
		}
		texts[id] = shownSQL(text)
	}
	for i := range top.Items {
		top.Items[i].SQL = texts[top.Items[i].ID]
	}
	return top, rows.Err()
}
