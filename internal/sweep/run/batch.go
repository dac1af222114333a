package run

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/target"
)

// batch is the next piece of work: where, and the cursor that holds once it is
// committed.
type batch struct {
	leg     *plan.Leg
	whole   plan.Strategy // drop or copy: the leg as a whole
	within  string        // which rows are looked at, as SQL; "" in a batch without
	span    Range         // the same, for Again
	looked  int64
	after   Cursor
	want    error         // what a person wants, read in the batch's transaction
	checked bool          // the filenode must be that of the cursor
	nulls   bool          // over when it deletes nothing
	trip    time.Duration // of its commit
	trips   int
}

// bound is the context of the batch: a leg done as a whole has bounds of its own.
func (b *batch) bound(ctx context.Context) context.Context {
	if b.whole != "" {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// next finds the next batch, nil when the sweep is done.
func (r *runner) next(ctx context.Context) (*batch, error) {
	for {
		c := &r.sweep.Cursor
		if c.Leg >= len(r.sweep.Job.Legs) {
			return r.again(ctx)
		}
		leg := &r.sweep.Job.Legs[c.Leg]
		strategy := leg.Strategy
		if slices.Contains(c.Demoted, c.Leg) {
			strategy = physical(*leg)
		}
		var b *batch
		var err error
		switch strategy {
		case plan.TID:
			b, err = r.nextPages(ctx, leg)
		case plan.PK, plan.Keyset:
			b, err = r.nextKeys(ctx, leg, strategy == plan.Keyset)
		case plan.Drop, plan.Copy:
			b = &batch{leg: leg, whole: strategy, after: r.nextLeg()}
		default:
			err = fmt.Errorf("sweep %d names a strategy %q that is not known here", r.sweep.ID, strategy)
		}
		if err != nil || b != nil {
			return b, err
		}
		// The leg is at its end. That is saved with the next batch, or at the end.
		*c = r.nextLeg()
	}
}

// nextLeg is the cursor at the beginning of the next leg.
func (r *runner) nextLeg() Cursor {
	c := r.sweep.Cursor
	return Cursor{Leg: c.Leg + 1, Demoted: c.Demoted, Again: c.Again}
}

// extent is how a table lies on the disk now.
func (r *runner) extent(ctx context.Context, leg *plan.Leg) (filenode uint32, pages, moved int64, err error) {
	err = r.session.conn.QueryRow(ctx, `
		SELECT coalesce(pg_relation_filenode($1::oid), 0), coalesce(pg_relation_size($1::oid), 0) / current_setting('block_size')::bigint,
		       coalesce((SELECT n_tup_upd - n_tup_hot_upd FROM pg_stat_all_tables WHERE relid = $1::oid), 0)`, leg.OID).Scan(&filenode, &pages, &moved)
	if err == nil && filenode == 0 {
		err = &target.Refusal{What: fmt.Sprintf("table %s is not there any more", leg.Ident())}
	}
	if err != nil {
		err = fmt.Errorf("look at %s: %w", leg.Ident(), err)
	}
	return filenode, pages, moved, err
}

// morePasses is how often a table is gone through again because updates have
// moved rows, perhaps from pages ahead to pages behind.
const morePasses = 2

func (r *runner) nextPages(ctx context.Context, leg *plan.Leg) (*batch, error) {
	c := &r.sweep.Cursor
	if !c.Begun || c.Page >= c.End {
		filenode, pages, moved, err := r.extent(ctx, leg)
		if err != nil {
			return nil, err
		}
		pass := 0
		if c.Begun {
			if moved <= c.Moved || c.Pass >= morePasses {
				return nil, nil
			}
			pass = c.Pass + 1
		}
		c.Begun, c.Filenode, c.Page, c.End, c.Moved, c.Pass = true, filenode, 0, pages, moved, pass
		if pages == 0 {
			return nil, nil
		}
	}
	return r.pagesFrom(c, leg), nil
}

// pagesFrom is the batch of the pages that follow cursor c, which is before the
// end of its pass.
func (r *runner) pagesFrom(c *Cursor, leg *plan.Leg) *batch {
	n := max(int64(float64(r.pace.Size())/max(leg.PerPage, 1)), 1)
	b := &batch{leg: leg, checked: true, after: *c, span: Range{Leg: c.Leg, From: c.Page, To: min(c.Page+n, c.End)}}
	b.after.Page = b.span.To
	b.looked = int64(float64(b.span.To-b.span.From) * max(leg.PerPage, 1))
	b.within = r.pages(b.span)
	return b
}

func (r *runner) pages(s Range) string {
	t := r.sweep.Job.Alias
	return fmt.Sprintf("%s.ctid >= '(%d,0)' AND %s.ctid < '(%d,0)'", t, s.From, t, s.To)
}

// keyNames are the key's columns, and their values' types.
func (r *runner) keyNames(leg *plan.Leg) (names, texts []string) {
	for _, k := range leg.Key {
		name := r.sweep.Job.Alias + "." + target.Quote(k.Name)
		names, texts = append(names, name), append(texts, name+"::text")
	}
	return names, texts
}

// bound is a row comparison with a key.
func (r *runner) bound(leg *plan.Leg, operator string, key []string) string {
	names, _ := r.keyNames(leg)
	values := make([]string, len(key))
	for i, v := range key {
		values[i] = literal(v) + "::" + leg.Key[i].Type
	}
	return "(" + strings.Join(names, ", ") + ") " + operator + " (" + strings.Join(values, ", ") + ")"
}

func (r *runner) keys(leg *plan.Leg, s Range) string {
	var parts []string
	if len(s.After) > 0 {
		parts = append(parts, r.bound(leg, ">", s.After))
	}
	if len(s.Upto) > 0 {
		parts = append(parts, r.bound(leg, "<=", s.Upto))
	}
	if len(parts) == 0 {
		return "true"
	}
	return strings.Join(parts, " AND ")
}

// nextKeys finds the key at which the next batch ends: that of the row so many
// rows on, counting doomed rows alone along an index of theirs.
func (r *runner) nextKeys(ctx context.Context, leg *plan.Leg, doomedOnly bool) (*batch, error) {
	c := &r.sweep.Cursor
	switch {
	case c.Begun && c.Page == nullsDone:
		return nil, nil
	case c.Begun && c.Page == keysDone:
		return r.nextNulls(leg, doomedOnly), nil
	}
	names, texts := r.keyNames(leg)
	span := Range{Leg: c.Leg, After: c.Key}
	within := r.keys(leg, span)
	if doomedOnly {
		within += " AND " + r.sweep.Job.Condition
	}
	order := strings.Join(names, ", ")
	sql := fmt.Sprintf("SELECT %s FROM %s AS %s WHERE %s ORDER BY %s OFFSET %d LIMIT 1", strings.Join(texts, ", "), leg.Ident(), r.sweep.Job.Alias, within, order, r.pace.Size()-1)
	results, err := r.session.many(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("find the end of the next batch: %w", err)
	}
	b := &batch{leg: leg, after: *c, looked: int64(r.pace.Size())}
	b.after.Begun = true
	if rows := results[0].Rows; len(rows) == 1 && !slices.ContainsFunc(rows[0], func(v []byte) bool { return v == nil }) {
		for _, value := range rows[0] {
			span.Upto = append(span.Upto, string(value))
		}
		b.after.Key = span.Upto
	} else {
		b.after.Page = keysDone // the last range is open at its end
	}
	b.span, b.within = span, r.keys(leg, span)
	return b, nil
}

// keysDone and nullsDone are what Page holds in a leg by keys, when it has
// reached the end of the keys, and of the rows whose key is null.
const keysDone, nullsDone = -1, -2

// nextNulls is a batch of the rows that no comparison of keys finds: those whose
// indexed column is null. A primary key has none.
func (r *runner) nextNulls(leg *plan.Leg, doomedOnly bool) *batch {
	if !doomedOnly || leg.Key[0].NotNull {
		return nil
	}
	j := &r.sweep.Job
	b := &batch{leg: leg, after: r.sweep.Cursor, looked: int64(r.pace.Size()), nulls: true}
	b.within = fmt.Sprintf("%s.ctid = ANY (ARRAY(SELECT %s.ctid FROM %s AS %s WHERE %s.%s IS NULL AND %s LIMIT %d))",
		j.Alias, j.Alias, leg.Ident(), j.Alias, j.Alias, target.Quote(leg.Key[0].Name), j.Condition, b.looked)
	return b
}

// statement deletes the doomed rows of a batch. With returning they come back;
// with a table to keep them in they go there.
func (r *runner) statement(b *batch, returning bool) string {
	j := &r.sweep.Job
	var with []string
	from := " FROM " + b.leg.Ident() + " AS " + j.Alias
	where := " WHERE " + b.within + " AND " + j.Condition
	sql := "DELETE" + from + where
	if r.skip {
		with = append(with, "held AS MATERIALIZED (SELECT "+j.Alias+".ctid AS at"+from+where+" FOR UPDATE SKIP LOCKED)")
		sql = "DELETE" + from + " USING held WHERE " + j.Alias + ".ctid = held.at"
	}
	list := strings.Join(j.Columns, ", ")
	if returning || j.KeepTable != "" {
		names := make([]string, len(j.Columns))
		for i, c := range j.Columns {
			names[i] = j.Alias + "." + c
		}
		sql += " RETURNING " + strings.Join(names, ", ")
	}
	if j.KeepTable != "" {
		with = append(with, "gone AS ("+sql+")")
		sql = "INSERT INTO " + j.KeepTable + " (" + list + ") SELECT " + list + " FROM gone"
	}
	if len(with) > 0 {
		sql = "WITH " + strings.Join(with, ", ") + " " + sql
	}
	return sql
}

// attempt runs one batch as one transaction.
func (r *runner) attempt(ctx context.Context, b *batch) (deleted int64, err error) {
	switch {
	case b.whole == plan.Drop:
		return r.dropLeg(ctx, b)
	case b.whole == plan.Copy:
		return r.copyLeg(ctx, b)
	}
	if r.skip && !b.nulls {
		b.after.Again = append(slices.Clip(b.after.Again), b.span)
	}
	if r.isBrief(b) {
		return r.brief(ctx, b)
	}
	keeps := r.keep != nil
	work := "LOCK TABLE " + b.leg.Ident() + " IN ROW EXCLUSIVE MODE"
	if !keeps {
		if work, err = r.deletes(ctx, b, r.session); err != nil {
			return 0, err
		}
	}
	results, err := r.session.many(ctx, fmt.Sprintf("%s%s; EXECUTE spillway_node(%d)", r.opening(), work, b.leg.OID))
	if err != nil {
		return 0, err
	}
	if err := r.check(ctx, b, results); err != nil {
		return 0, err
	}
	size := r.sweep.Kept
	if keeps {
		if deleted, size, err = r.keep.take(ctx, r.session, r.statement(b, true)); err != nil {
			err = r.session.back(ctx, err)
			if cut := r.keep.cut(r.sweep.Kept); cut != nil {
				return 0, &fileError{cut}
			}
			return 0, err
		}
	} else {
		deleted = results[2].CommandTag.RowsAffected()
	}
	if b.nulls && deleted == 0 {
		b.after.Page = nullsDone
	}
	if err := r.commit(ctx, b, deleted, size); err != nil {
		return 0, err
	}
	return deleted, nil
}

// deletes is the SQL that deletes the batch in session s: of a range of pages,
// as a rule, the call of a prepared statement.
func (r *runner) deletes(ctx context.Context, b *batch, s *session) (string, error) {
	if b.span.To == 0 || r.skip {
		return r.statement(b, false), nil
	}
	name := fmt.Sprintf("spillway_leg_%d", b.span.Leg)
	err := s.prepare(ctx, name, "tid, tid", r.ranged(b))
	return fmt.Sprintf("EXECUTE %s('(%d,0)', '(%d,0)')", name, b.span.From, b.span.To), err
}

// ranged is the statement that deletes from page $1 to before page $2.
func (r *runner) ranged(b *batch) string {
	ranges, t := *b, r.sweep.Job.Alias
	ranges.within = fmt.Sprintf("%s.ctid >= $1 AND %s.ctid < $2", t, t)
	return r.statement(&ranges, false)
}

// opening begins a transaction and asks, with a lock on the row, whether the
// fence still stands and what is wanted.
func (r *runner) opening() string {
	return fmt.Sprintf("BEGIN; EXECUTE spillway_want(%d, %d);", r.sweep.ID, r.sweep.Fence)
}

// errMoved: the table was rewritten, and every row lies elsewhere.
var errMoved = fmt.Errorf("the table was rewritten")

// check reads what the opening found; an error has rolled back.
func (r *runner) check(ctx context.Context, b *batch, results []*pgconn.Result) error {
	rows := results[1].Rows
	if len(rows) != 1 {
		return r.session.back(ctx, ErrFenced)
	}
	b.want = obey(Want(rows[0][0]))
	if !b.checked {
		return nil
	}
	last := results[len(results)-1].Rows
	if len(last) != 1 || string(last[0][0]) != strconv.FormatUint(uint64(r.sweep.Cursor.Filenode), 10) {
		return r.session.back(ctx, errMoved)
	}
	return nil
}

// commit saves the cursor and commits.
func (r *runner) commit(ctx context.Context, b *batch, deleted, size int64) error {
	cursor, err := jsonLiteral(b.after)
	if err != nil {
		return r.session.back(ctx, err)
	}
	begun := time.Now()
	_, err = r.session.many(ctx, fmt.Sprintf("EXECUTE spillway_save(%d, %d, %s, %d, %d, %g, %s); COMMIT",
		r.sweep.ID, r.sweep.Fence, cursor, deleted, size, r.sweep.Active, literal(r.sweep.Brake)))
	if err != nil {
		return err
	}
	b.trip, b.trips = time.Since(begun), 2
	r.trip, r.briefs = b.trip, 0
	if r.keep != nil {
		r.keep.size = size
	}
	r.sweep.Kept = size
	return nil
}
