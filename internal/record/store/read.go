package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"spillway/internal/record/event"
)

// Which says which events to read. Zero reads all.
type Which struct {
	Incident  string    // of this incident only
	Incidents bool      // of all incidents, and change markers, only
	Kept      bool      // what retention keeps, only
	Passing   bool      // what retention takes away, only
	Since     time.Time // stored since then
	New       bool      // stored by others since the last Append or read of this kind, only
	From      uint64    // from this sequence of the stream on
	First     bool      // only the first of them
}

func (s *Store) subjects(w Which) []string {
	switch {
	case w.Incident != "":
		return []string{s.subject("incident." + Token(w.Incident))}
	case w.Incidents:
		return []string{s.subject("incident.*"), s.subject("change")}
	case w.Kept:
		return []string{s.subject("incident.*"), s.subject("trim")}
	}
	if w.Passing {
		return []string{s.subject("event"), s.subject("change")}
	}
	return nil
}

// Stored is one event as it lies in the log. Its bytes are the callee's.
type Stored struct {
	Bytes    []byte
	Hash     string // as written beside it
	Sequence uint64 // the stream's
	At       time.Time
}

// Short says that so many events are in the log that it cannot give: they are
// damaged. All others were read.
type Short struct{ Missing uint64 }

// Error implements error.
func (s *Short) Error() string {
	return fmt.Sprintf("read the log: %d events in it cannot be read", s.Missing)
}

// Read gives each event, oldest first, up to the last one that was there when
// it began. An error of each ends it and is returned.
func (s *Store) Read(ctx context.Context, w Which, each func(Stored) error) error {
	c := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy, FilterSubjects: s.subjects(w),
		MemoryStorage: true, Replicas: 1, InactiveThreshold: readerIdle,
	}
	switch {
	case w.New:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.last+1
	case w.From > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, w.From
	case !w.Since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &w.Since
	}
	reader, err := s.reader(ctx, c)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer s.dismiss(ctx, reader)
	seen, left := uint64(0), reader.CachedInfo().NumPending
	if w.First {
		left = min(left, 1)
	}
	for left > 0 {
		n, err := s.batch(ctx, reader, min(left, readBatch), func(m Stored) error {
			seen = m.Sequence
			return each(m)
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return &Short{left}
		}
		left -= min(left, n)
	}
	if w.New && seen > s.last {
		s.last = seen
	}
	return nil
}

// readerTries bounds how often a reader is made until it stands where the leader
// is: of five servers, one time in a thousand it does not.
const readerTries = 32

// reader makes a consumer on the server that leads the stream. NATS puts it on any
// of the stream's servers, and one that has just come back would give less than
// what was acknowledged, without a word.
func (s *Store) reader(ctx context.Context, c jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	for range readerTries {
		stream, err := s.stream.Info(ctx)
		if err != nil {
			return nil, err
		}
		reader, err := s.stream.CreateConsumer(ctx, c)
		if err != nil {
			return nil, err
		}
		at := reader.CachedInfo().Cluster
		if stream.Cluster == nil || at == nil || at.Leader == stream.Cluster.Leader {
			return reader, nil
		}
		s.dismiss(ctx, reader)
	}
	return nil, errors.New("no reader could be made on the server that leads the stream")
}

func (s *Store) dismiss(ctx context.Context, reader jetstream.Consumer) {
	_ = s.stream.DeleteConsumer(context.WithoutCancel(ctx), reader.CachedInfo().Name) // ends by itself when idle
}

// batch reads the next events and says how many there were.
func (s *Store) batch(ctx context.Context, reader jetstream.Consumer, most uint64, each func(Stored) error) (uint64, error) {
	messages, err := reader.Fetch(int(most), jetstream.FetchMaxWait(readWithin))
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	n := uint64(0)
	for m := range messages.Messages() {
		about, err := m.Metadata()
		if err != nil {
			return n, fmt.Errorf("read the log: %w", err)
		}
		n++
		if err := each(Stored{m.Data(), m.Headers().Get(hashHeader), about.Sequence.Stream, about.Timestamp}); err != nil {
			return n, err
		}
	}
	if err := messages.Error(); err != nil {
		return n, fmt.Errorf("read the log: %w", err)
	}
	return n, ctx.Err()
}

// End is the last event's place, zero of an empty log. What others wrote up to
// it counts as read.
func (s *Store) End(ctx context.Context) (event.Place, error) {
	found, err := s.stream.Info(ctx)
	if err != nil {
		return event.Place{}, fmt.Errorf("ask end of the log: %w", err)
	}
	s.last = found.State.LastSeq
	if found.State.Msgs == 0 {
		return event.Place{}, nil
	}
	m, err := s.stream.GetMsg(ctx, s.last)
	if err != nil {
		return event.Place{}, fmt.Errorf("read the log's last event: %w", err)
	}
	e, err := event.Decode(m.Data)
	if err != nil {
		return event.Place{}, err
	}
	return event.Place{N: e.N, Hash: event.Hash(m.Data)}, nil
}
