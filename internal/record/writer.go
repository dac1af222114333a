package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
	"spillway/internal/record/store"
)

// Waits between attempts to open the log.
const (
	firstWait = time.Second
	mostWait  = 30 * time.Second
	// lockedWait is the wait while another process has it.
	lockedWait = time.Second
	// mostConflicts is how often in a row others may be faster.
	mostConflicts = 20
)

// write keeps the log open and writes what waits, until the record stops.
func (r *Record) write(ctx context.Context) {
	w := writer{Record: r}
	wait := firstWait
	for {
		err := w.session(ctx)
		if r.ended(ctx) {
			return
		}
		r.sick(err)
		if w.wrote {
			wait = firstWait
		}
		pause := wait
		if errors.Is(err, store.ErrLocked) {
			pause = lockedWait
		} else {
			wait = min(2*wait, mostWait)
		}
		if !r.pause(ctx, pause) {
			return
		}
	}
}

// ended reports whether the record stops.
func (r *Record) ended(ctx context.Context) bool {
	select {
	case <-r.ending:
		return true
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// pause waits, and reports whether the record goes on.
func (r *Record) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.ending:
	case <-ctx.Done():
	}
	return false
}

// writer is the state of the one goroutine that writes.
type writer struct {
	*Record
	log   *store.Store
	place event.Place
	took  time.Duration // to open the log
	wrote bool          // in this session
	anew  bool          // what waits has been decided anew, and may be other events
	known uint64        // the stream's sequence up to which everything is known to the book
}

// session opens the log, reads what it holds, and writes until something fails
// or the record stops.
func (w *writer) session(ctx context.Context) error {
	w.wrote = false
	began := time.Now()
	log, err := store.Open(ctx, w.config.Store)
	if err != nil {
		return err
	}
	defer log.Close()
	w.log = log
	if err := w.load(ctx); err != nil {
		return err
	}
	w.took = time.Since(began)
	w.open.Store(log)
	defer w.open.Store(nil)
	return w.serve(ctx)
}

// load makes the book of what the log holds, and decides again what waits.
func (w *writer) load(ctx context.Context) error {
	end, err := w.log.End(ctx)
	if err != nil {
		return err
	}
	ids, err := w.idsSince(ctx)
	if err != nil {
		return err
	}
	return w.relearn(ctx, end, ids)
}

// relearn is load of a log that ends there, and has the events of these ids since
// it was known last.
func (w *writer) relearn(ctx context.Context, end event.Place, ids map[string]bool) error {
	book := incident.NewBook(incident.Rules{})
	err := w.log.Read(ctx, store.Which{Incidents: true}, func(m store.Stored) error {
		// What cannot be read is left to verify to complain about.
		if e, err := event.Decode(m.Bytes); err == nil {
			book.Apply(e)
		}
		return nil
	})
	if err = w.damaged(err); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.place, w.known = end, w.log.Last()
	book.Succeed(w.book)
	w.book = book
	for _, e := range w.backlog {
		w.resettle(e, ids)
	}
	return nil
}

// damaged lets the log be used although some of it cannot be read; verify says so.
func (w *writer) damaged(err error) error {
	var short *store.Short
	if errors.As(err, &short) {
		w.config.Log.Error("a part of the log cannot be read; `spillway incident verify` says where", "events", short.Missing)
		return nil
	}
	return err
}

// idsSince are those of the events that may have been written although the
// write seemed to fail.
func (w *writer) idsSince(ctx context.Context) (map[string]bool, error) {
	ids := map[string]bool{}
	if e := w.head(); e == nil || w.known == 0 {
		return ids, nil
	}
	err := w.log.Read(ctx, store.Which{From: w.known + 1}, func(m store.Stored) error {
		if e, err := event.Decode(m.Bytes); err == nil {
			ids[e.ID] = true
		}
		return nil
	})
	return ids, err
}

// resettle decides an entry on the book that the log made; mu is held. What of
// it is in the log already stays as it is.
func (w *writer) resettle(e *entry, ids map[string]bool) {
	for e.written < len(e.events) && ids[e.events[e.written].ID] {
		e.written++
	}
	if e.written > 0 {
		for _, one := range e.events[e.written:] {
			w.book.Apply(one)
		}
		return
	}
	w.bytes -= e.bytes
	_ = w.settle(e) // who asked was answered the first time
	w.bytes += e.bytes
}

// serve writes until something fails or the record stops.
func (w *writer) serve(ctx context.Context) error {
	trim, poll := time.NewTicker(trimEvery), time.NewTicker(pollEvery)
	defer trim.Stop()
	defer poll.Stop()
	if err := w.first(ctx); err != nil {
		return err
	}
	for {
		if err := w.flush(ctx); err != nil {
			return err
		}
		var err error
		select {
		case <-w.wake:
		case <-trim.C:
			err = w.trim(ctx)
		case <-poll.C:
			if w.config.Store.URL != "" {
				_, err = w.catchUp(ctx)
			}
		case <-w.ending:
			return w.flush(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// first writes that the log is open: it is well when that stands.
func (w *writer) first(ctx context.Context) error {
	w.mu.Lock()
	lost, at, waiting := w.lost, w.lostAt, len(w.backlog)
	w.lost = 0
	w.mu.Unlock()
	if err := w.write1(ctx, "log.opened", map[string]any{"waiting": waiting}); err != nil {
		return err
	}
	if lost > 0 {
		if err := w.write1(ctx, "log.lost", map[string]any{"events": lost, "last_at": at}); err != nil {
			return err
		}
	}
	w.well()
	w.config.Log.Info("log opened", "events", w.place.N, "took", w.took.Round(time.Millisecond).String())
	return w.trim(ctx)
}

// write1 writes an event of the log's own.
func (w *writer) write1(ctx context.Context, kind string, body any) error {
	e := event.Event{ID: w.nextID(), At: time.Now(), Kind: kind, Region: w.config.Region, Node: w.config.Node, Body: event.Body(body)}
	return w.append(ctx, e)
}

// flush writes what waits.
func (w *writer) flush(ctx context.Context) error {
	for e := w.head(); e != nil; e = w.head() {
		for w.anew = false; !w.anew && e.written < len(e.events); {
			if err := w.append(ctx, e.events[e.written]); err != nil {
				return err
			}
			if !w.anew {
				e.written++
			}
		}
		if !w.anew {
			w.pop(e)
		}
	}
	return nil
}

// append writes one event, behind what others wrote meanwhile. Where they moved
// incidents and so does what waits, that is decided anew and nothing is written.
func (w *writer) append(ctx context.Context, e event.Event) error {
	for range mostConflicts {
		place, err := w.log.Append(ctx, e, w.place)
		var unfit *store.Unfit
		switch {
		case err == nil:
			w.place, w.wrote, w.known = place, true, w.log.Last()
			return nil
		case errors.As(err, &unfit):
			w.config.Log.Error("event cannot be recorded", "kind", e.Kind, "error", err)
			return nil
		case !errors.Is(err, store.ErrConflict):
			return err
		}
		ids, err := w.catchUp(ctx)
		if err != nil || ids[e.ID] || w.anew {
			return err
		}
	}
	return fmt.Errorf("write to the log: others were faster %d times in a row", mostConflicts)
}

// catchUp takes what others wrote into the book, and returns the ids of the events.
func (w *writer) catchUp(ctx context.Context) (ids map[string]bool, err error) {
	ids = map[string]bool{}
	var fresh []event.Event
	err = w.log.Read(ctx, store.Which{New: true}, func(m store.Stored) error {
		e, err := event.Decode(m.Bytes)
		if err != nil {
			return nil // verify complains
		}
		w.place = event.Place{N: e.N, Hash: event.Hash(m.Bytes)}
		ids[e.ID] = true
		fresh = append(fresh, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	w.known = w.log.Last()
	if !w.learn(fresh) {
		return ids, nil
	}
	w.anew = true
	end, err := w.log.End(ctx)
	if err == nil {
		err = w.relearn(ctx, end, ids)
	}
	return ids, err
}

// learn takes what others wrote into the book. contested says that they moved
// incidents, and so does what waits here: it was decided without knowing that,
// and two nodes may have opened an incident for one trouble.
func (w *writer) learn(fresh []event.Event) (contested bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range fresh {
		if e := &fresh[n]; !strings.HasPrefix(e.ID, w.prefix()) {
			w.book.Apply(*e)
			contested = contested || moves(e)
		}
	}
	return contested && slices.ContainsFunc(w.backlog, func(e *entry) bool {
		return e.written == 0 && slices.ContainsFunc(e.events, func(one event.Event) bool { return moves(&one) })
	})
}

// moves reports whether an event changes what is decided about incidents.
func moves(e *event.Event) bool { return e.Incident != "" && e.Kind != incident.Measured }

// trim takes away what retention says.
func (w *writer) trim(ctx context.Context) error {
	w.mu.Lock()
	keep := w.rules.Keep
	w.mu.Unlock()
	before := time.Time{}
	if keep.Age > 0 {
		before = time.Now().Add(-keep.Age)
	}
	cut, some, err := w.log.PlanTrim(ctx, before, keep.Size)
	if err != nil || !some {
		return err
	}
	if err := w.write1(ctx, event.Trimmed, cut.Trim); err != nil {
		return err
	}
	return w.log.Trim(ctx, cut)
}
