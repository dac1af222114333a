package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
)

// ErrFull says that the log has been away for so long that the backlog is full.
var ErrFull = errors.New("the record's backlog is full")

// ErrUnwritten says that an event is not in the log yet; it waits for it.
var ErrUnwritten = errors.New("the event is not in the log yet")

// entry is something that was decided and waits for the log.
type entry struct {
	id string
	// decide makes the events. It is asked again when the log turns out to hold
	// what the book did not know.
	decide  decision
	events  []event.Event
	written int           // how many of events are in the log; owned by the writer
	bytes   int           // of events
	done    chan struct{} // closed when all are in the log
}

type decision func(*incident.Book) ([]event.Event, error)

// submit decides, applies in memory, and leaves the rest to the writer.
func (r *Record) submit(decide decision) (*entry, error) {
	e := &entry{decide: decide, done: make(chan struct{}), id: r.nextID()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.room(); err != nil {
		return nil, err
	}
	err := r.settle(e)
	if len(e.events) == 0 {
		close(e.done)
		return e, err
	}
	r.backlog = append(r.backlog, e)
	r.bytes += e.bytes
	r.nudge()
	return e, err
}

// nextID is unlike any other, also after a restart.
func (r *Record) nextID() string {
	return r.prefix() + strconv.FormatUint(r.counted.Add(1), 36)
}

// prefix is what the ids of this record begin with.
func (r *Record) prefix() string { return strconv.FormatInt(r.started.UnixNano(), 36) + "." }

// room refuses when the backlog is full; mu is held.
func (r *Record) room() error {
	if len(r.backlog) < mostEntries && r.bytes < mostBytes {
		return nil
	}
	r.lost++
	r.lostAll++
	r.lostAt = time.Now()
	return ErrFull
}

// settle asks the entry's decision of the book and applies it; mu is held. An
// error may come with events: those happened all the same.
func (r *Record) settle(e *entry) error {
	events, err := e.decide(r.book)
	e.bytes = 0
	for n := range events {
		one := &events[n]
		one.ID = e.id + "-" + strconv.Itoa(n)
		one.Region = r.config.Region
		if one.Node == "" {
			one.Node = r.config.Node
		}
		e.bytes += len(one.Body) + 256
		r.book.Apply(*one)
	}
	e.events = events
	return err
}

// nudge wakes the writer.
func (r *Record) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Note puts an event into the record; kind is dotted. Without a deadline in ctx
// it returns at once. With one it waits until the event is on disk, for 2 s at
// most, and answers ErrUnwritten when it is not: it may be written later.
func (r *Record) Note(ctx context.Context, at time.Time, kind string, body any) error {
	if !event.ValidKind(kind) || strings.HasPrefix(kind, reserved) {
		return fmt.Errorf("note event: the kind %.80q cannot be used", kind)
	}
	text := event.Body(body)
	e, err := r.submit(func(b *incident.Book) ([]event.Event, error) {
		return []event.Event{{At: at, Kind: kind, Actor: actorOf(text), Body: text, Incident: b.Attach(text, at)}}, nil
	})
	if err == nil {
		err = r.acknowledge(ctx, e)
	}
	if err != nil {
		// It stands at least where the process writes its own lines.
		r.config.Log.Warn("event not in the log", "kind", kind, "body", string(text), "reason", err)
		return fmt.Errorf("note event %s: %w", kind, err)
	}
	return nil
}

// acknowledge waits until an entry is in the log, where ctx has a deadline.
func (r *Record) acknowledge(ctx context.Context, e *entry) error {
	if _, asked := ctx.Deadline(); !asked {
		return nil
	}
	within := ackWithin
	if r.away() {
		within = 0 // nobody waits for a log that is known to be away
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-e.done:
		return nil
	default:
	}
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return ErrUnwritten
}

// waiting returns what is not in the log yet of an incident, oldest first.
func (r *Record) waiting(id string) []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []event.Event
	for _, e := range r.backlog {
		for _, one := range e.events {
			if one.Incident == id {
				found = append(found, one)
			}
		}
	}
	return found
}

// head is the entry that the writer works at, nil for none.
func (r *Record) head() *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.backlog) == 0 {
		return nil
	}
	return r.backlog[0]
}

// pop takes away the head, which is in the log.
func (r *Record) pop(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backlog = slices.Delete(r.backlog, 0, 1)
	r.bytes -= e.bytes
	close(e.done)
}

// actorOf finds who did it in a body of another room.
func actorOf(body []byte) string {
	who := incident.Who(body)
	if len(who) > 100 {
		return ""
	}
	return who
}
