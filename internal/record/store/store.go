package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"spillway/internal/record/event"
)

// ErrConflict says that somebody else has written to the log since: read what
// they wrote and try again behind it.
var ErrConflict = errors.New("another writer was faster")

// maxPayload is the largest message: an event and its subject.
const maxPayload = event.MaxSize + 4096

// Times of one operation.
const (
	connectWithin = 5 * time.Second
	writeWithin   = 5 * time.Second
	// repeatsWithin is how long the stream knows the ids of events it has.
	repeatsWithin = 2 * time.Minute
	readerIdle    = 30 * time.Second
	readBatch     = 512
	// readWithin is how long the next events of the log may take.
	readWithin = 5 * time.Second
)

// hashHeader carries the hash of the message beside it.
const hashHeader = "Spillway-Hash"

// Config says where the log is.
type Config struct {
	Dir         string // of the embedded server
	URL         string // of a NATS cluster, instead; "" = embedded
	Credentials string // file for the cluster; "" = none
	Replicas    int    // of the stream in a cluster; 0 = 1
	Region      string
	Log         *slog.Logger
}

// token is the region as a part of a subject.
func (c *Config) token() string { return Token(c.Region) }

// Token is text as a part of a subject: what has a meaning there becomes '-'.
func Token(text string) string {
	if text == "" {
		return "local"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, text)
}

// Store is the open log. Append and Trim are for one goroutine at a time, the
// others for any.
type Store struct {
	config   Config
	embedded *embedded // nil in a cluster
	conn     *nats.Conn
	js       jetstream.JetStream
	stream   jetstream.Stream
	last     uint64 // the stream's sequence of the last event this store knows
}

// Open opens the log and makes its stream when there is none. ErrLocked means
// that another process has it.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{config: c}
	if err := s.connect(ctx); err != nil {
		s.Close()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := s.openStream(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open stream of the log: %w", err)
	}
	return s, nil
}

func (s *Store) connect(ctx context.Context) error {
	options := []nats.Option{
		nats.Name("spillway record"), nats.Timeout(connectWithin),
		// A lost connection is an error of the store; its owner opens another.
		nats.NoReconnect(),
	}
	url, quiet := s.config.URL, s.config.Log
	options = append(options, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		quiet.Debug("nats", "error", err)
	}))
	if url == "" {
		var err error
		if s.embedded, err = embed(ctx, s.config); err != nil {
			return err
		}
		options = append(options, nats.InProcessServer(s.embedded.server))
	} else if s.config.Credentials != "" {
		options = append(options, nats.UserCredentials(s.config.Credentials))
	}
	var err error
	if s.conn, err = nats.Connect(url, options...); err != nil {
		return fmt.Errorf("connect to the log: %w", err)
	}
	s.js, err = jetstream.New(s.conn)
	return err
}

// name is that of the region's stream.
func (s *Store) name() string { return "SPILLWAY_" + s.config.token() }

func (s *Store) subject(tail string) string { return "spillway." + s.config.token() + "." + tail }

func (s *Store) openStream(ctx context.Context) error {
	var err error
	s.stream, err = s.js.Stream(ctx, s.name())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s.stream, err = s.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: s.name(), Description: "events of Spillway", Subjects: []string{s.subject(">")},
			Storage: jetstream.FileStorage, Replicas: max(s.config.Replicas, 1), Retention: jetstream.LimitsPolicy,
			MaxMsgSize: maxPayload, Duplicates: repeatsWithin, DenyDelete: true,
			// Read from the server that leads only: another may not have all yet.
			AllowDirect: false,
		})
	}
	if err != nil {
		return err
	}
	s.last = s.stream.CachedInfo().State.LastSeq
	return nil
}

// tail is where an event stands among the subjects: what retention keeps, and
// what is read by itself, have their own.
func tail(e *event.Event) string {
	switch {
	case e.Incident != "":
		return "incident." + Token(e.Incident)
	case e.Kind == event.Trimmed:
		return "trim"
	case strings.HasPrefix(e.Kind, "change."):
		return "change"
	}
	return "event"
}

// Append stores an event after a place, and returns the place it makes when it
// is on disk. After ErrConflict the store can be used on; after any other error
// it may or may not have been written.
func (s *Store) Append(ctx context.Context, e event.Event, after event.Place) (event.Place, error) {
	stored, next, err := e.Encode(after)
	if err != nil {
		return after, &Unfit{err}
	}
	ctx, cancel := s.within(ctx, writeWithin)
	defer cancel()
	message := &nats.Msg{Subject: s.subject(tail(&e)), Data: stored, Header: nats.Header{hashHeader: {next.Hash}}}
	ack, err := s.js.PublishMsg(ctx, message, jetstream.WithMsgID(e.ID), jetstream.WithExpectLastSequence(s.last), jetstream.WithRetryAttempts(0))
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant):
		return after, ErrConflict
	case err != nil:
		return after, fmt.Errorf("write to the log: %w", s.why(err))
	case ack.Duplicate:
		// It is there already: read it, and go on behind it.
		return after, ErrConflict
	}
	s.last = ack.Sequence
	return next, nil
}

// within bounds an operation in time; it ends early when the embedded server
// says that it cannot write.
func (s *Store) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	if s.embedded == nil {
		return ctx, cancel
	}
	stop := make(chan struct{})
	go func() {
		select {
		case <-s.embedded.failed.seen:
			cancel()
		case <-stop:
		}
	}()
	return ctx, func() {
		close(stop)
		cancel()
	}
}

// why is what the embedded server has said, or else the error itself.
func (s *Store) why(err error) error {
	if s.embedded == nil {
		return err
	}
	select {
	case <-s.embedded.failed.seen:
		return errors.New(s.embedded.failed.text)
	default:
		return err
	}
}

// Unfit is an event that can never be stored.
type Unfit struct{ error }

// Unwrap returns what is wrong with it.
func (u *Unfit) Unwrap() error { return u.error }

// Last is the stream's sequence up to which this store knows the log.
func (s *Store) Last() uint64 { return s.last }

// Bytes is the size of the log.
func (s *Store) Bytes(ctx context.Context) (uint64, error) {
	found, err := s.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask size of the log: %w", err)
	}
	return found.State.Bytes, nil
}

// Close ends the connection, and the embedded server.
func (s *Store) Close() {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.embedded != nil {
		s.embedded.close()
	}
}
