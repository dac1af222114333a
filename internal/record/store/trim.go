package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"spillway/internal/record/event"
)

// errFound ends a read early.
var errFound = errors.New("found")

// Trimmed is the last event.Trim of the log, zero when nothing was taken away.
func (s *Store) Trimmed(ctx context.Context) (event.Trim, error) {
	var t event.Trim
	m, err := s.stream.GetLastMsgForSubject(ctx, s.subject("trim"))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("read what was trimmed: %w", err)
	}
	e, err := event.Decode(m.Data)
	if err == nil {
		err = e.Read(&t)
	}
	return t, err
}

// Cut is what a trim is going to take away.
type Cut struct {
	Trim     event.Trim
	sequence uint64 // of the stream; events before it go
}

// PlanTrim says what must be taken away for all that is not kept to be younger
// than before, and the log to be smaller than bytes (0 = no bound). ok is false
// when nothing must. The Trim is to be appended before Trim is called.
func (s *Store) PlanTrim(ctx context.Context, before time.Time, bytes uint64) (cut Cut, ok bool, err error) {
	first, at, err := s.oldest(ctx, Which{Passing: true})
	if err != nil || first.N == 0 {
		return cut, false, err
	}
	place, sequence, err := s.oldest(ctx, Which{Since: before})
	if err != nil {
		return cut, false, err
	}
	if place.N == 0 { // all are older: the last one stays, so that the chain has an end
		if place, err = s.End(ctx); err != nil {
			return cut, false, err
		}
		sequence = s.last
	}
	if sequence, err = s.bySize(ctx, max(sequence, at), bytes, &place); err != nil || sequence <= at {
		return cut, false, err
	}
	cut = Cut{Trim: event.Trim{Before: place.N}, sequence: sequence}
	trimmed, err := s.Trimmed(ctx)
	if err != nil || trimmed.Before >= cut.Trim.Before {
		return cut, false, err
	}
	return cut, true, s.sumKept(ctx, &cut.Trim)
}

// tenth is the part of the log that goes when it is too large.
const tenth = 10

// bySize moves the sequence on by a tenth of the log when it is larger than bytes.
func (s *Store) bySize(ctx context.Context, sequence, bytes uint64, place *event.Place) (uint64, error) {
	found, err := s.stream.Info(ctx)
	if err != nil || bytes == 0 || found.State.Bytes <= bytes {
		return sequence, err
	}
	// What passes begins at sequence, whatever is kept before it.
	further := min(sequence+max((found.State.LastSeq-sequence)/tenth, 1), found.State.LastSeq)
	at, n, err := s.oldestFrom(ctx, further)
	if err == nil && at.N != 0 {
		*place, sequence = at, n
	}
	return sequence, err
}

// oldest is the first event of those, and its sequence.
func (s *Store) oldest(ctx context.Context, w Which) (place event.Place, sequence uint64, err error) {
	w.First = true
	err = s.Read(ctx, w, func(m Stored) error {
		e, err := event.Decode(m.Bytes)
		place, sequence = event.Place{N: e.N}, m.Sequence
		return err
	})
	return place, sequence, err
}

// oldestFrom is the first event from a sequence on.
func (s *Store) oldestFrom(ctx context.Context, sequence uint64) (event.Place, uint64, error) {
	m, err := s.stream.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(s.subject(">")))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return event.Place{}, 0, nil
	}
	if err != nil {
		return event.Place{}, 0, err
	}
	e, err := event.Decode(m.Data)
	return event.Place{N: e.N}, m.Sequence, err
}

func (s *Store) sumKept(ctx context.Context, t *event.Trim) error {
	var sum []byte
	err := s.Read(ctx, Which{Kept: true}, func(m Stored) error {
		e, err := event.Decode(m.Bytes)
		if err != nil || e.N >= t.Before {
			return errors.Join(err, errFound)
		}
		t.Kept++
		sum = event.SumKept(sum, event.Hash(m.Bytes))
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	t.Sum = hex.EncodeToString(sum)
	return err
}

// Trim takes away what PlanTrim found; the cut's Trim is in the log by now.
func (s *Store) Trim(ctx context.Context, c Cut) error {
	for _, tail := range []string{"event", "change"} {
		if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(s.subject(tail)), jetstream.WithPurgeSequence(c.sequence)); err != nil {
			return fmt.Errorf("trim the log: %w", err)
		}
	}
	return nil
}

// Verify walks the whole chain. head is the hash of an event that must be in it,
// "" for none.
func (s *Store) Verify(ctx context.Context, head string) (event.Verdict, error) {
	trim, err := s.Trimmed(ctx)
	if err != nil {
		return event.Verdict{}, err
	}
	walk := event.NewWalk(trim, head)
	err = s.Read(ctx, Which{}, func(m Stored) error {
		walk.Step(m.Bytes, m.Hash)
		return nil
	})
	var short *Short
	if errors.As(err, &short) {
		walk.Unread(short.Missing)
		err = nil
	}
	return walk.End(), err
}
