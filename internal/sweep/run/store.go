package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/target"
)

// schema is what a sweep keeps in the swept database. Half of each page stays
// free, so that saving the cursor is an update in place.
const schema = `
CREATE TABLE IF NOT EXISTS spillway.sweep (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL DEFAULT '',
	relation oid NOT NULL,
	table_name text NOT NULL,
	job jsonb NOT NULL,
	cutoff timestamptz NOT NULL,
	phase text NOT NULL DEFAULT 'running',
	want text NOT NULL DEFAULT 'run',
	fence bigint NOT NULL DEFAULT 0,
	holder text NOT NULL DEFAULT '',
	cursor jsonb NOT NULL DEFAULT '{}',
	backlog float8 NOT NULL DEFAULT 0,
	deleted bigint NOT NULL DEFAULT 0,
	batches bigint NOT NULL DEFAULT 0,
	kept bigint NOT NULL DEFAULT 0,
	active float8 NOT NULL DEFAULT 0,
	brake text NOT NULL DEFAULT '',
	reason text NOT NULL DEFAULT '',
	created timestamptz NOT NULL DEFAULT clock_timestamp(),
	beat timestamptz NOT NULL DEFAULT clock_timestamp(),
	ended timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE spillway.sweep IS 'Sweeps of Spillway: one row each, with its cursor. Rows that are over may be deleted.'`

// prepare makes the schema where it is missing.
func prepare(ctx context.Context, tx pgx.Tx) error {
	var schemaThere, tableThere bool
	err := tx.QueryRow(ctx, "SELECT to_regnamespace('spillway') IS NOT NULL, to_regclass('spillway.sweep') IS NOT NULL").Scan(&schemaThere, &tableThere)
	if err != nil || tableThere {
		return err
	}
	// A role may own the schema and yet make none.
	make := "SET LOCAL client_min_messages = warning; "
	if !schemaThere {
		make += "CREATE SCHEMA IF NOT EXISTS spillway; "
	}
	if _, err := tx.Exec(ctx, make+schema); err != nil {
		return fmt.Errorf("make schema spillway for the cursor: %w", err)
	}
	return nil
}

// raced says whether two made the same at once: the catalog's unique index lets
// one of them through.
func raced(err error) bool {
	switch target.Code(err) {
	case "23505", "42P06", "42P07", "42710":
		return true
	}
	return false
}

// Begin writes down a plan as a sweep that a runner can take up, and makes the
// table or file that rows are kept in where that is missing. name is the
// config's. After an error nothing has changed.
func Begin(ctx context.Context, conn *pgx.Conn, p *plan.Plan, name string, o Options) (id int64, err error) {
	job := Job{
		Order: p.Order, Strategy: p.Chosen, Alias: target.Quote(p.Table.Name), Condition: p.Condition.At(p.Cutoff), Zone: p.Condition.Zone,
		Columns: p.Table.Names(), Legs: p.Legs, Options: o, Lambda: p.Lambda,
	}
	for i := range job.Legs {
		if job.Legs[i].Strategy == plan.Keyset {
			job.Legs[i].Key = append(job.Legs[i].Key, others(p.Table.PrimaryKey, job.Legs[i].Key)...)
		}
	}
	undo, err := job.file()
	if err != nil {
		return 0, err
	}
	for range 5 {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
			id, err = job.write(ctx, tx, p, name)
			return err
		})
		if !raced(err) {
			break
		}
	}
	if err != nil {
		undo()
		var refusal *target.Refusal
		if !errors.As(err, &refusal) {
			err = fmt.Errorf("write down the sweep: %w", err)
		}
		return 0, err
	}
	return id, nil
}

// write inserts the row, unless the table has a sweep that is not over. Of two
// who come at once one waits here for the other.
func (j *Job) write(ctx context.Context, tx pgx.Tx, p *plan.Plan, name string) (id int64, err error) {
	if err := prepare(ctx, tx); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, 0)", int32(lockClass)); err != nil {
		return 0, err
	}
	var other int64
	var phase Phase
	err = tx.QueryRow(ctx, `SELECT id, phase FROM spillway.sweep WHERE relation = $1 AND phase IN ('running', 'paused') ORDER BY id LIMIT 1`, p.Table.OID).Scan(&other, &phase)
	if err == nil {
		return 0, &target.Refusal{What: fmt.Sprintf("sweep %d of %s is %s", other, p.Table.Ident(), phase), Mend: fmt.Sprintf("spillway sweep resume %d, or spillway sweep cancel %d", other, other)}
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, err
	}
	if err := j.table(ctx, tx, p); err != nil {
		return 0, err
	}
	return id, tx.QueryRow(ctx, `INSERT INTO spillway.sweep (name, relation, table_name, job, cutoff, backlog) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
		name, p.Table.OID, p.Table.Ident(), *j, p.Cutoff, p.Doomed.Rows).Scan(&id)
}

// others are the columns that are not in have: the key must be unique, or a
// value that millions of rows share would be one batch.
func others(columns, have []target.Column) (more []target.Column) {
	for _, c := range columns {
		if c.Name != have[0].Name {
			more = append(more, c)
		}
	}
	return more
}

// file finds out whether rows go to a file before they are deleted, and makes
// it. undo takes it away again if it was not there.
func (j *Job) file() (undo func(), err error) {
	undo = func() {}
	where := j.Order.KeepIn
	if !strings.Contains(where, "/") {
		return undo, nil
	}
	made, err := checkKeepFile(where)
	if err != nil {
		return undo, err
	}
	j.KeepFile = where
	if made {
		undo = func() { _ = os.Remove(where) } // empty, and in nobody's way
	}
	return undo, nil
}

// table finds out whether rows go to a table before they are deleted, and makes
// it where it is missing.
func (j *Job) table(ctx context.Context, tx pgx.Tx, p *plan.Plan) error {
	where := j.Order.KeepIn
	if where == "" || j.KeepFile != "" {
		return nil
	}
	var ident string
	if err := tx.QueryRow(ctx, `SELECT string_agg(quote_ident(part), '.' ORDER BY at) FROM unnest(parse_ident($1)) WITH ORDINALITY u(part, at)`, where).Scan(&ident); err != nil {
		return &target.Refusal{What: fmt.Sprintf("%q is no table's name", where), Mend: "give a table as schema.table, or a file with a / in its path"}
	}
	j.KeepTable = ident
	var there bool
	err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", ident).Scan(&there)
	if err == nil && !there {
		_, err = tx.Exec(ctx, "CREATE TABLE "+ident+" (LIKE "+p.Table.Ident()+")")
	}
	if err != nil {
		if code := target.Code(err); strings.HasPrefix(code, "3") || code == "42501" {
			return &target.Refusal{What: fmt.Sprintf("table %s to keep rows in cannot be made: %v", ident, err), Mend: "make it by hand, or name one in a schema where this role may"}
		}
		return fmt.Errorf("make table %s to keep rows in: %w", ident, err)
	}
	list := strings.Join(j.Columns, ", ")
	if _, err := tx.Prepare(ctx, "", "INSERT INTO "+ident+" ("+list+") SELECT "+list+" FROM "+p.Table.Ident()); err != nil {
		return &target.Refusal{What: fmt.Sprintf("table %s cannot take the rows of %s: %v", ident, p.Table.Ident(), err), Mend: "give a table with the same columns, or one that is not there yet"}
	}
	var same, may bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass($1)::oid = $2, has_table_privilege(to_regclass($1), 'INSERT')", ident, p.Table.OID).Scan(&same, &may); err != nil {
		return fmt.Errorf("find table %s: %w", ident, err)
	}
	switch {
	case same:
		return &target.Refusal{What: "rows cannot be kept in the table they are deleted from"}
	case !may:
		return &target.Refusal{What: fmt.Sprintf("role %s may not INSERT into %s", target.Quote(p.Table.Server.Role), ident), Mend: fmt.Sprintf("GRANT INSERT ON %s TO %s", ident, target.Quote(p.Table.Server.Role))}
	}
	return nil
}

// lockClass is the first half of the advisory locks' key: "swep".
const lockClass = 0x73776570

// tableLocks picks, of pg_locks, advisory locks of tables of this database that some
// runner has; 1937204592 is lockClass, objid the table.
const tableLocks = `locktype = 'advisory' AND classid = 1937204592 AND objsubid = 2 AND granted
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

const columns = `id, name, current_database(), table_name, relation, job, cutoff, phase, want,
	EXISTS (SELECT 1 FROM pg_locks WHERE ` + tableLocks + ` AND objid = sweep.relation) AND phase = 'running',
	fence, holder, cursor, backlog, deleted, batches, kept, active, brake, reason, created, beat, ended`

func (s *Sweep) fields() []any {
	return []any{&s.ID, &s.Name, &s.Database, &s.Table, &s.Relation, &s.Job, &s.Cutoff, &s.Phase, &s.Want, &s.Alive,
		&s.Fence, &s.Holder, &s.Cursor, &s.Backlog, &s.Deleted, &s.Batches, &s.Kept, &s.Active, &s.Brake, &s.Reason, &s.Created, &s.Beat, &s.Ended}
}

// listed bounds a list of sweeps.
const listed = 200

// List reads the latest sweeps of the database, newest first; none when there
// has never been one.
func List(ctx context.Context, conn *pgx.Conn) ([]Sweep, error) {
	list := []Sweep{}
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('spillway.sweep') IS NOT NULL").Scan(&there); err != nil || !there {
		return list, err
	}
	rows, err := conn.Query(ctx, "SELECT "+columns+" FROM spillway.sweep ORDER BY id DESC LIMIT $1", listed)
	if err != nil {
		return nil, fmt.Errorf("list sweeps: %w", err)
	}
	for rows.Next() {
		var s Sweep
		if err := rows.Scan(s.fields()...); err != nil {
			rows.Close()
			return nil, fmt.Errorf("list sweeps: %w", err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list sweeps: %w", err)
	}
	return list, nil
}

// Read reads one sweep.
func Read(ctx context.Context, conn *pgx.Conn, id int64) (*Sweep, error) {
	s := new(Sweep)
	err := conn.QueryRow(ctx, "SELECT "+columns+" FROM spillway.sweep WHERE id = $1", id).Scan(s.fields()...)
	if errors.Is(err, pgx.ErrNoRows) || target.Code(err) == "42P01" {
		return nil, fmt.Errorf("sweep %d: %w", id, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("read sweep %d: %w", id, err)
	}
	return s, nil
}

// Ask tells a sweep what is wanted of it. One without a runner changes its
// phase at once.
func Ask(ctx context.Context, conn *pgx.Conn, id int64, want Want) (*Sweep, error) {
	s, err := Read(ctx, conn, id)
	if err != nil {
		return nil, err
	}
	if s.Phase.Over() {
		return nil, fmt.Errorf("sweep %d is %s: %w", id, s.Phase, ErrOver)
	}
	phase := s.Phase
	if !s.Alive && want == WantPause {
		phase = Paused
	}
	if !s.Alive && want == WantCancel {
		phase = Cancelled
	}
	// A runner that came meanwhile has raised the fence and reads want.
	_, err = conn.Exec(ctx, `UPDATE spillway.sweep SET want = $2, phase = CASE WHEN fence = $4 THEN $3 ELSE phase END,
		ended = CASE WHEN fence = $4 AND $3 = 'cancelled' THEN clock_timestamp() ELSE ended END WHERE id = $1 AND phase NOT IN ('done', 'cancelled')`, id, want, phase, s.Fence)
	if err != nil {
		return nil, fmt.Errorf("ask sweep %d to %s: %w", id, want, err)
	}
	return Read(ctx, conn, id)
}

// literal quotes a value for SQL; standard_conforming_strings is on.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// jsonLiteral is a value as a jsonb literal.
func jsonLiteral(value any) (string, error) {
	text, err := jsonText(value)
	return literal(string(text)) + "::jsonb", err
}

func jsonText(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write cursor: %w", err)
	}
	return text, nil
}
