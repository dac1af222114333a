package run

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"spillway/internal/sweep/target"
)

// dropWait is how long a DROP waits for its lock.
const dropWait = 100 * time.Millisecond

// dropLeg drops a partition, after a look at every row under a lock that keeps
// new ones out. One survivor, and the partition goes row by row instead.
func (r *runner) dropLeg(ctx context.Context, b *batch) (int64, error) {
	if err := r.session.allow(ctx, mostTimeout); err != nil {
		return 0, err
	}
	defer func() { _ = r.session.allow(ctx, r.session.timeout) }() // an error shows in the next batch
	results, err := r.session.many(ctx, r.opening()+fmt.Sprintf("LOCK TABLE %s IN SHARE MODE; SELECT count(*), count(*) FILTER (WHERE (%s) IS NOT TRUE) FROM %s AS %s",
		b.leg.Ident(), r.sweep.Job.Condition, b.leg.Ident(), r.sweep.Job.Alias))
	if err != nil {
		return 0, err
	}
	if err := r.check(ctx, b, results); err != nil {
		return 0, err
	}
	counts := results[3].Rows[0]
	rows, err := strconv.ParseInt(string(counts[0]), 10, 64)
	if err != nil {
		return 0, r.session.back(ctx, err)
	}
	if string(counts[1]) != "0" {
		b.after = r.demoted()
		return 0, r.commit(ctx, b, 0, r.sweep.Kept)
	}
	// Whoever comes meanwhile queues behind this: it asks for a moment only.
	if _, err := r.session.many(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d; DROP TABLE %s", dropWait.Milliseconds(), b.leg.Ident())); err != nil {
		if code := target.Code(err); code == "42501" || code == "2BP01" {
			// Not the owner, or something depends on it: its rows can still go.
			r.config.Log.Warn("partition is not dropped but swept", "partition", b.leg.Ident(), "error", err)
			r.sweep.Cursor = r.demoted()
			b.after = r.sweep.Cursor
			return 0, nil
		}
		return 0, err
	}
	return rows, r.commit(ctx, b, rows, r.sweep.Kept)
}

// demoted is the cursor with the present leg to be swept row by row.
func (r *runner) demoted() Cursor {
	c := r.sweep.Cursor
	c.Demoted = append(slices.Clip(c.Demoted), c.Leg)
	return c
}

// copyLeg copies the survivors out, empties the table and puts them back, in one
// transaction. Writers wait from the beginning, readers from the TRUNCATE on.
// The table stays the same one, with its rights, views and sequences.
func (r *runner) copyLeg(ctx context.Context, b *batch) (int64, error) {
	if err := r.session.allow(ctx, 0); err != nil {
		return 0, err
	}
	defer func() { _ = r.session.allow(ctx, r.session.timeout) }() // an error shows in the next batch
	table, list := b.leg.Ident(), strings.Join(r.sweep.Job.Columns, ", ")
	results, err := r.session.many(ctx, r.opening()+
		"LOCK TABLE "+table+" IN SHARE ROW EXCLUSIVE MODE;"+
		fmt.Sprintf("CREATE TEMPORARY TABLE spillway_survivors ON COMMIT DROP AS SELECT %s FROM %s AS %s WHERE (%s) IS NOT TRUE;", list, table, r.sweep.Job.Alias, r.sweep.Job.Condition)+
		fmt.Sprintf("SELECT count(*) FROM %s AS %s WHERE %s", table, r.sweep.Job.Alias, r.sweep.Job.Condition))
	if err != nil {
		return 0, err
	}
	if err := r.check(ctx, b, results); err != nil {
		return 0, err
	}
	rows, err := strconv.ParseInt(string(results[4].Rows[0][0]), 10, 64)
	if err != nil {
		return 0, r.session.back(ctx, err)
	}
	if _, err := r.session.many(ctx, fmt.Sprintf("TRUNCATE %s; INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM spillway_survivors", table, table, list, list)); err != nil {
		return 0, err
	}
	return rows, r.commit(ctx, b, rows, r.sweep.Kept)
}
