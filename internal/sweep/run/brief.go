package run

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Batches of few rows, as there are beside others, are one statement and one
// round trip: it deletes, counts, saves the cursor and looks after fence and
// place on the disk. Measured on a table in memory with 97 rows a page, 250
// batches each way in turn, 4 ms of sleep before each, two runs: a batch of one
// page took 0.55 and 0.64 ms instead of 0.75 and 0.84, of two pages 0.58 and 0.68
// instead of 0.70 and 0.85, of four 0.65 and 1.14 instead of 0.71 and 1.16; the
// backend's CPU for one page 23 % less, for four about the same, as each row that
// is counted this way is read once more. On a busy machine the clock gains more.
const (
	// briefRows is up to which batches are done so.
	briefRows = 300
	// briefsInRow is how many there are until the next one of two round trips,
	// which shows what a round trip takes.
	briefsInRow = 15
)

// isBrief says whether a batch goes in one statement.
func (r *runner) isBrief(b *batch) bool {
	return b.checked && b.span.To > 0 && b.looked <= briefRows && r.keep == nil && r.sweep.Job.KeepTable == "" && !r.skip &&
		r.trip > 0 && r.briefs < briefsInRow
}

// Marks of the errors that a brief batch raises.
const fencedMark, movedMark = "spillway: another fence, ", "spillway: another file, "

// briefSQL is that statement. An UPDATE that finds no row would leave the rows
// deleted; so the row is found by its id, and what is wrong with it is raised
// with a cast that fails. The row is locked by then, in its latest version: the
// fence that is read is the one that holds, and so is what is wanted.
func (r *runner) briefSQL(b *batch) string {
	return "WITH gone AS (" + r.ranged(b) + " RETURNING 1) UPDATE spillway.sweep SET cursor = $5, deleted = deleted + (SELECT count(*) FROM gone)," +
		" batches = CASE WHEN pg_relation_filenode($8) = $9 THEN batches + 1 ELSE (" + literal(movedMark) + " || batches)::bigint END," +
		" fence = CASE WHEN fence = $4 THEN fence ELSE (" + literal(fencedMark) + " || fence)::bigint END," +
		" active = $6, brake = $7, beat = clock_timestamp() WHERE id = $3 RETURNING want, deleted"
}

// brief runs a batch in one statement, which is a transaction of its own.
func (r *runner) brief(ctx context.Context, b *batch) (deleted int64, err error) {
	name := fmt.Sprintf("spillway_brief_%d", b.span.Leg)
	if err := r.session.prepare(ctx, name, "tid, tid, bigint, bigint, jsonb, float8, text, oid, oid", r.briefSQL(b)); err != nil {
		return 0, err
	}
	cursor, err := jsonText(b.after)
	if err != nil {
		return 0, err
	}
	s := r.sweep
	values := [][]byte{
		fmt.Appendf(nil, "(%d,0)", b.span.From), fmt.Appendf(nil, "(%d,0)", b.span.To), strconv.AppendInt(nil, s.ID, 10), strconv.AppendInt(nil, s.Fence, 10),
		cursor, strconv.AppendFloat(nil, s.Active, 'g', -1, 64), []byte(s.Brake), fmt.Append(nil, b.leg.OID), fmt.Append(nil, s.Cursor.Filenode),
	}
	got := r.session.conn.PgConn().ExecPrepared(ctx, name, values, nil, nil).Read()
	if got.Err != nil {
		return 0, unmark(got.Err)
	}
	if len(got.Rows) != 1 {
		return 0, ErrFenced // somebody took the sweep's row away; there is nothing to go on with
	}
	total, err := strconv.ParseInt(string(got.Rows[0][1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read how much is deleted: %w", err)
	}
	b.want = obey(Want(got.Rows[0][0]))
	b.trip, b.trips = r.trip, 1
	r.briefs++
	return total - s.Deleted, nil
}

// unmark turns what a brief batch raised into the error that it means.
func unmark(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "22P02" {
		return err
	}
	switch {
	case strings.Contains(pg.Message, fencedMark):
		return ErrFenced
	case strings.Contains(pg.Message, movedMark):
		return errMoved
	}
	return err
}
