package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Version is that of the form written now.
const Version = 1

// Bounds of one event.
const (
	MaxBody = 64 << 10       // bytes of a body as JSON
	MaxSize = MaxBody + 8192 // bytes of a stored event
	maxKind = 64
	maxName = 256 // runes of an actor, a node, an incident
)

// Trimmed is the kind of the event that says what retention has taken away.
const Trimmed = "log.trimmed"

// Event is something that happened, in the record's form. Nothing in it changes
// once it is stored.
type Event struct {
	N        uint64          `json:"n"` // place in the chain, from 1
	Version  int             `json:"v"`
	ID       string          `json:"id"` // the same however often the write is tried
	At       time.Time       `json:"at"`
	Kind     string          `json:"kind"` // dotted: "action.applied"
	Region   string          `json:"region,omitempty"`
	Node     string          `json:"node,omitempty"`
	Incident string          `json:"incident,omitempty"` // the incident on whose timeline it stands
	Actor    string          `json:"actor,omitempty"`    // who did it; empty for Spillway itself
	Cause    string          `json:"cause,omitempty"`    // id of the event it follows from
	Body     json.RawMessage `json:"body,omitempty"`
	Prev     string          `json:"prev,omitempty"` // hash of the event before
}

// Kept reports whether retention keeps the event: those of incidents, and those
// that say what was taken away.
func (e *Event) Kept() bool { return e.Incident != "" || e.Kind == Trimmed }

// Read decodes the body into value; fields that value does not know are left out.
func (e *Event) Read(value any) error {
	if len(e.Body) == 0 {
		return nil
	}
	if err := json.Unmarshal(e.Body, value); err != nil {
		return fmt.Errorf("read body of %s: %w", e.Kind, err)
	}
	return nil
}

// Body is value as JSON of bounded size. What is larger, or cannot be written,
// is replaced by a note that says so.
func Body(value any) json.RawMessage {
	if value == nil {
		return nil
	}
	text, err := json.Marshal(value)
	switch {
	case err != nil:
		text, _ = json.Marshal(map[string]any{"unwritable": err.Error()})
	case len(text) > MaxBody:
		text, _ = json.Marshal(map[string]any{"truncated": true, "bytes": len(text), "begins": begin(text, 4096)})
	}
	return text
}

// begin is at most n bytes of text, cut between runes.
func begin(text []byte, n int) string {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return string(text[:n])
}

// Place is where a chain ends: the next event follows it.
type Place struct {
	N    uint64
	Hash string
}

// Encode puts the event after a place and returns what is to be stored, and the
// place that it makes.
func (e Event) Encode(after Place) ([]byte, Place, error) {
	e.N, e.Prev, e.Version = after.N+1, after.Hash, Version
	e.At = e.At.UTC().Truncate(time.Microsecond)
	if err := e.check(); err != nil {
		return nil, after, fmt.Errorf("write event: %w", err)
	}
	stored, err := json.Marshal(e)
	if err != nil {
		return nil, after, fmt.Errorf("write event %s: %w", e.Kind, err)
	}
	if len(stored) > MaxSize {
		return nil, after, fmt.Errorf("write event %s: %d bytes are more than %d", e.Kind, len(stored), MaxSize)
	}
	return stored, Place{e.N, Hash(stored)}, nil
}

// ValidKind reports whether text can be a kind: dotted lower-case words.
func ValidKind(text string) bool {
	if len(text) > maxKind {
		return false
	}
	for word := range strings.SplitSeq(text, ".") {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			return false
		}
	}
	return true
}

func (e *Event) check() error {
	if !ValidKind(e.Kind) {
		return fmt.Errorf("kind %.80q is not of dotted lower-case words", e.Kind)
	}
	for _, text := range []string{e.ID, e.Region, e.Node, e.Incident, e.Actor, e.Cause} {
		if utf8.RuneCountInString(text) > maxName {
			return fmt.Errorf("a name of %s is longer than %d letters", e.Kind, maxName)
		}
	}
	if len(e.Body) > MaxBody {
		return fmt.Errorf("the body of %s is larger than %d bytes", e.Kind, MaxBody)
	}
	return nil
}

// Decode reads a stored event.
func Decode(stored []byte) (Event, error) {
	var e Event
	if len(stored) > MaxSize {
		return e, fmt.Errorf("read event: %d bytes are more than %d", len(stored), MaxSize)
	}
	decoder := json.NewDecoder(bytes.NewReader(stored))
	if err := decoder.Decode(&e); err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	if decoder.More() {
		return Event{}, fmt.Errorf("read event: something follows it")
	}
	if e.Version < 1 || e.Version > Version {
		return Event{}, fmt.Errorf("read event: version %d is not known", e.Version)
	}
	if err := e.check(); err != nil {
		return Event{}, fmt.Errorf("read event: %w", err)
	}
	return e, nil
}

// Hash is the hash of stored bytes, in hexadecimal.
func Hash(stored []byte) string {
	sum := sha256.Sum256(stored)
	return hex.EncodeToString(sum[:])
}
