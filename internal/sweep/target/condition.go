package target

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// maxCondition bounds the text of a condition, in bytes.
const maxCondition = 64 << 10

// Condition says which rows are doomed.
type Condition struct {
	Asked string `json:"asked"` // as the person wrote it
	// Text is PostgreSQL's own print of it, every name qualified, columns under
	// the table's name. Times still move in it.
	Text    string    `json:"text"`
	Cutoff  time.Time `json:"cutoff"` // the server's time when the condition was read
	Moves   bool      `json:"moves"`  // it reads the time
	Columns []string  `json:"columns"`
	Reads   []string  `json:"reads"` // other tables it looks at
	Zone    string    `json:"-"`     // TimeZone of the session
}

// At is the condition with the time standing still at cutoff.
func (c *Condition) At(cutoff time.Time) string { return freeze(c.Text, cutoff, c.Zone) }

// Read lets PostgreSQL parse where and refuses what is not one boolean
// expression whose answer depends on the row and the time alone. It changes
// nothing: what it makes is rolled back.
func Read(ctx context.Context, conn *pgx.Conn, t *Table, where string) (*Condition, error) {
	switch {
	case strings.TrimSpace(where) == "":
		return nil, refuse("no condition is given", `give one: --where "expires_at < now()"`)
	case len(where) > maxCondition:
		return nil, refuse(fmt.Sprintf("the condition is longer than %d bytes", maxCondition), "put the values into a table and ask with EXISTS")
	case strings.ContainsRune(where, 0):
		return nil, refuse("the condition holds a zero byte", "")
	}
	if err := t.parse(ctx, conn, where); err != nil {
		return nil, err
	}
	c := &Condition{Asked: where, Zone: t.Server.TimeZone}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("read condition: %w", err)
	}
	err = c.analyse(ctx, tx, t)
	if back := tx.Rollback(ctx); err == nil && back != nil {
		err = fmt.Errorf("read condition: %w", back)
	}
	return c, err
}

// parse gives where to PostgreSQL's parser twice, read-only: between
// parentheses, and between words without any. What is no whole expression
// breaks out of one of them only by failing in the other.
func (t *Table) parse(ctx context.Context, conn *pgx.Conn, where string) error {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("read condition: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // nothing was written
	from := " FROM " + t.Ident() + " AS " + Quote(t.Name) + " WHERE "
	for i, text := range []string{
		"SELECT 1" + from + "(\n" + where + "\n)",
		"SELECT 1" + from + "CASE WHEN\n" + where + "\nTHEN true ELSE false END",
	} {
		d, err := conn.Prepare(ctx, "", text)
		switch {
		case err != nil && Code(err) == "":
			return fmt.Errorf("read condition: %w", err)
		case err != nil:
			return conditionRefusal(where, err, i == 1)
		case len(d.ParamOIDs) > 0:
			return refuse("the condition has parameters", "write the values out")
		}
	}
	return nil
}

func conditionRefusal(where string, err error, second bool) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	if second {
		return refuse("the condition is not one expression: "+short(where), "write what would follow WHERE, and nothing else")
	}
	mend := "write what would follow WHERE"
	if pg.Hint != "" {
		mend = pg.Hint
	}
	return refuse(fmt.Sprintf("PostgreSQL does not take the condition %s: %s", short(where), strings.Join(strings.Fields(pg.Message), " ")), mend)
}

func short(text string) string {
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

// probe is the name of the view that shows what the parser made.
const probe = "spillway_sweep_condition"

// analyse makes two temporary views, one with the condition and one with a
// constant, and reads the first one's tree and text. The caller rolls back.
func (c *Condition) analyse(ctx context.Context, tx pgx.Tx, t *Table) error {
	from := " AS doomed FROM " + t.Ident() + " AS " + Quote(t.Name)
	for _, statement := range []string{
		"CREATE TEMPORARY VIEW " + probe + " AS SELECT (\n" + c.Asked + "\n)::boolean" + from,
		"CREATE TEMPORARY VIEW " + probe + "_frame AS SELECT true" + from,
	} {
		if _, err := tx.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			if Code(err) == "42501" {
				return refuse("role "+Quote(t.Server.Role)+" may make no temporary view, by which the condition is checked", "GRANT TEMPORARY ON DATABASE "+Quote(t.Server.Database)+" TO "+Quote(t.Server.Role))
			}
			if Code(err) != "" {
				return conditionRefusal(c.Asked, err, false)
			}
			return fmt.Errorf("read condition: %w", err)
		}
	}
	var tree, text, frame, view string
	err := tx.QueryRow(ctx, `
		SELECT r.ev_action::text, r.ev_class::text, now(),
		       ARRAY(SELECT DISTINCT a.attname FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		             WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refobjid = $1 AND d.refobjsubid > 0)::text[],
		       ARRAY(SELECT DISTINCT d.refobjid::regclass::text FROM pg_depend d
		             WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid NOT IN ($1, r.ev_class))
		FROM pg_rewrite r WHERE r.ev_class = ('pg_temp.' || $2)::regclass`, t.OID, probe).
		Scan(&tree, &view, &c.Cutoff, &c.Columns, &c.Reads)
	if err != nil {
		return fmt.Errorf("read condition: %w", err)
	}
	// Only now: with this path PostgreSQL qualifies all names but its own.
	err = tx.QueryRow(ctx, `SELECT pg_get_viewdef($1::oid), pg_get_viewdef(('pg_temp.' || $2)::regclass) FROM set_config('search_path', 'pg_catalog', true)`,
		view, probe+"_frame").Scan(&text, &frame)
	if err != nil {
		return fmt.Errorf("print condition: %w", err)
	}
	c.Text, err = between(text, frame)
	if err != nil {
		return err
	}
	c.Moves = freeze(c.Text, c.Cutoff, c.Zone) != c.Text
	return steady(ctx, tx, tree)
}

// between cuts the condition out of the view's text; frame is the same view
// with true in its place.
func between(text, frame string) (string, error) {
	head, tail, ok := strings.Cut(frame, "true")
	if !ok || !strings.HasPrefix(text, head) || !strings.HasSuffix(text, tail) || len(text) < len(head)+len(tail) {
		return "", fmt.Errorf("print condition: PostgreSQL's text is not as expected: %q", short(text))
	}
	return "(" + text[len(head):len(text)-len(tail)] + ")", nil
}
