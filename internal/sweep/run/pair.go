package run

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"spillway/internal/sweep/brake"
	"spillway/internal/sweep/target"
)

// One backend deletes no faster than its core lets it. A sweep that is alone has
// two batches by pages in flight, each in a session of its own: while one
// deletes, so does the next. What makes that exact:
//
//   - A batch is committed only after the commit of the one before it was
//     answered, so the cursor never passes rows that are still there. Commit
//     records lie in the WAL in that order: without synchronous_commit a crash
//     keeps the first so many, never a later one without an earlier.
//   - The row in spillway.sweep is locked at the end of a batch, with the fence,
//     and with the first session's lock on the table, without which a later
//     runner may be at work already.
//   - A batch that fails while another is beside it takes the other back too, and
//     is done again alone from the cursor in the database: only then is its error
//     looked at. So batches that get into each other's way, by a trigger or a
//     foreign key, cost a lock timeout and no more.

const (
	// pairRows is how many rows must be left to look at for a second session to be
	// worth its while: a quarter of a second.
	pairRows = 50_000
	// secondWithin bounds the login of a second session, secondAgain is how long a
	// server that lets in none is not asked again.
	secondWithin, secondAgain = 2 * time.Second, time.Minute
	// mostApart is how many batches go one at a time, at most, after two at once
	// failed; 1 at first, twice as many each time.
	mostApart = 64
)

// pair is what a runner needs to have two batches in flight.
type pair struct {
	second *session  // nil as long as none is needed
	refuse time.Time // no second session is asked for before
	may    bool      // two at once, as things are now
	ahead  *flight   // runs while the batch before it is finished
	apart  int       // batches that go one at a time yet
	failed int       // times that two at once failed
	asked  error     // what a person wants, told when nothing is in flight
	landed time.Time // end of the last batch
}

// flight is a batch whose delete runs in a transaction that is not committed.
type flight struct {
	b     *batch
	on    *session
	begun time.Time
	ended chan struct{} // the fields below are set when it is closed

	took    time.Duration
	deleted int64
	node    string // where the table's rows lay
	err     error  // rolled back
}

// company decides whether two batches may be in flight; may is false when
// nothing new is to begin.
func (r *runner) company(v brake.Verdict, may bool) {
	r.pair.may = may && r.pair.asked == nil && r.pair.apart == 0 && v.Level == brake.Clear && !v.Shared && r.pace.Duty() >= 1 &&
		r.sweep.Job.Options.Rate == 0 && r.keep == nil && !r.skip && r.tried == 0
	if v.Shared && r.pair.ahead == nil {
		r.closeSecond() // others may need its place
	}
}

// pairs says whether batch b, of which nothing runs yet, is to have company, and
// sees to the second session.
func (r *runner) pairs(ctx context.Context, b *batch) bool {
	left := float64(b.after.End-b.span.From) * b.leg.PerPage
	if !r.pair.may || !b.checked || b.span.To >= b.after.End || left < pairRows {
		return false
	}
	if r.pair.second == nil && time.Now().After(r.pair.refuse) {
		asking, cancel := context.WithTimeout(ctx, secondWithin)
		defer cancel()
		second, err := beside(asking, r.config.Dial, r.sweep, r.session)
		if err != nil {
			r.pair.refuse = time.Now().Add(secondAgain)
			r.config.Log.Info("sweep goes on with one session", "table", r.sweep.Table, "error", err)
			return false
		}
		r.config.Log.Debug("sweep has a second session", "table", r.sweep.Table)
		r.pair.second = second
	}
	return r.pair.second != nil
}

// launch begins a batch by pages in session s, with its delete.
func (r *runner) launch(ctx context.Context, b *batch, s *session) (*flight, error) {
	work, err := r.deletes(ctx, b, s)
	if err != nil {
		return nil, err
	}
	f := &flight{b: b, on: s, begun: time.Now(), ended: make(chan struct{})}
	// It may outlive the step that began it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout+deadNetwork)
	go func() {
		defer close(f.ended)
		defer cancel()
		f.run(ctx, work)
	}()
	return f, nil
}

// run deletes. The table's place on the disk is asked for under the delete's lock.
func (f *flight) run(ctx context.Context, work string) {
	results, err := f.on.many(ctx, fmt.Sprintf("BEGIN; %s; EXECUTE spillway_node(%d)", work, f.b.leg.OID))
	f.took = time.Since(f.begun)
	if err != nil {
		f.err = err
		return
	}
	f.deleted = results[1].CommandTag.RowsAffected()
	if rows := results[2].Rows; len(rows) == 1 {
		f.node = string(rows[0][0])
	}
}

// failed says whether it has failed already.
func (f *flight) failed() bool {
	select {
	case <-f.ended:
		return f.err != nil
	default:
		return false
	}
}

// goAhead begins the batch that follows f, if it may.
func (r *runner) goAhead(ctx context.Context, f *flight) {
	r.pair.ahead = nil
	s := r.pair.second
	if f.on == s {
		s = r.session
	}
	if after := &f.b.after; r.pair.may && after.Page < after.End && !f.failed() {
		var err error
		if r.pair.ahead, err = r.launch(ctx, r.pagesFrom(after, f.b.leg), s); err != nil {
			r.parted(s, err)
		} else {
			r.config.Log.Debug("batch runs beside another", "table", r.sweep.Table, "page", after.Page)
		}
	}
	pids := []uint32{r.session.conn.PgConn().PID()}
	if r.pair.second != nil {
		pids = append(pids, r.pair.second.conn.PgConn().PID())
	}
	r.watch.Working(pids...)
}

// land waits for the delete of f and commits it.
func (r *runner) land(ctx context.Context, f *flight) (rest time.Duration, err error) {
	defer r.watch.Worked()
	<-f.ended
	if f.err == nil && f.node != strconv.FormatUint(uint64(r.sweep.Cursor.Filenode), 10) {
		f.err = f.on.back(ctx, errMoved)
	}
	if f.err != nil {
		return 0, r.part(ctx, f, f.err, false)
	}
	trip, err := r.seal(ctx, f)
	if err != nil {
		return 0, r.part(ctx, f, err, true)
	}
	rest = r.book(f.b, f.begun, brake.Spent{Took: f.took + trip, Trip: 2 * trip, Looked: f.b.looked, Deleted: f.deleted})
	if r.pair.ahead != nil {
		r.pair.asked = f.b.want // the batch ahead reads it again
		return 0, nil
	}
	r.pair.asked = nil
	return rest, f.b.want
}

// seal saves the cursor, reads what is wanted, and commits; an error has rolled
// back, unless the connection is closed.
func (r *runner) seal(ctx context.Context, f *flight) (trip time.Duration, err error) {
	cursor, err := jsonLiteral(f.b.after)
	if err != nil {
		return 0, f.on.back(ctx, err)
	}
	begun := time.Now()
	results, err := f.on.many(ctx, fmt.Sprintf("EXECUTE spillway_close(%d, %d, %s, %d, %g, %s); COMMIT",
		r.sweep.ID, r.sweep.Fence, cursor, f.deleted, r.sweep.Active, literal(r.sweep.Brake)))
	if err != nil {
		return 0, err
	}
	f.b.want = obey(Want(results[0].Rows[0][0]))
	return time.Since(begun), nil
}

// part ends two at once after f failed: the one ahead goes back too, and for a
// while batches go one at a time. sealing says that f may have been committed.
// An error that comes back is one to mend, or what a person wants.
func (r *runner) part(ctx context.Context, f *flight, err error, sealing bool) error {
	if a := r.pair.ahead; a != nil {
		<-a.ended
		if a.err == nil {
			a.err = a.on.back(ctx, nil) // one that fails has closed the connection
		}
		r.pair.ahead = nil
	}
	asked := r.pair.asked
	r.pair.asked = nil
	if r.session.conn.IsClosed() || sealing && f.on.conn.IsClosed() {
		return err // what was committed is known to the database alone
	}
	r.parted(f.on, err)
	return asked
}

// parted takes note that a batch failed in session s while another was beside it.
func (r *runner) parted(s *session, err error) {
	r.config.Log.Debug("a batch failed with another beside it; both go back", "table", r.sweep.Table, "error", err)
	if target.Code(err) == "57014" { // statement_timeout
		r.pace.Failed()
		r.pace.Failed()
	}
	r.pair.apart = min(1<<min(r.pair.failed, 10), mostApart)
	r.pair.failed++
	if s == r.pair.second && s.conn.IsClosed() {
		r.closeSecond()
	}
}

// closeSecond ends the second session; nothing runs in it.
func (r *runner) closeSecond() {
	if r.pair.second != nil {
		r.config.Log.Debug("sweep gives up its second session", "table", r.sweep.Table)
		target.Close(r.pair.second.conn)
		r.pair.second = nil
	}
}
