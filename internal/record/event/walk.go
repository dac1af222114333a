package event

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Trim says what retention has taken away: every event before Before that is
// not kept. Kept and Sum are how many kept ones there were, and their hashes in
// order, hashed.
type Trim struct {
	Before uint64 `json:"before"`
	Kept   uint64 `json:"kept"`
	Sum    string `json:"sum"`
}

// maxBreaks is how many breaks a walk lists; it counts all.
const maxBreaks = 100

// Break is a place where the chain does not hold.
type Break struct {
	N   uint64 `json:"n"` // the event at which it shows; 0 = none can be named
	Why string `json:"why"`
}

// Verdict is what a walk found.
type Verdict struct {
	Events  uint64    `json:"events"`  // seen
	First   uint64    `json:"first"`   // place of the first
	Last    uint64    `json:"last"`    // and of the last
	Since   time.Time `json:"since"`   // when the first happened
	Head    string    `json:"head"`    // hash of the last: compare it with one noted earlier
	Missing uint64    `json:"missing"` // events that are not there, by the rules of retention
	Broken  uint64    `json:"broken"`
	Breaks  []Break   `json:"breaks,omitempty"` // the first of them
}

// Valid reports whether the chain holds.
func (v *Verdict) Valid() bool { return v.Broken == 0 }

// Walk checks a chain, event by event in the order of storage.
type Walk struct {
	trim    Trim
	verdict Verdict
	last    Place
	kept    uint64
	sum     []byte
	seek    string
	seen    bool
}

// NewWalk begins a walk; trim is the last Trimmed event's body, zero for none.
// seek is the hash of an event that must be in the chain, "" for none.
func NewWalk(trim Trim, seek string) *Walk { return &Walk{trim: trim, seek: seek} }

// Step takes the next stored event. written is the hash that was written beside
// it, empty for none.
func (w *Walk) Step(stored []byte, written string) {
	hash := Hash(stored)
	w.verdict.Events++
	w.seen = w.seen || hash == w.seek
	e, err := Decode(stored)
	if err != nil {
		w.broken(w.last.N+1, err.Error())
		// The next event must carry the hash of these bytes all the same.
		w.last = Place{w.last.N + 1, hash}
		return
	}
	w.judge(&e, hash, written)
	if w.verdict.First == 0 {
		w.verdict.First, w.verdict.Since = e.N, e.At
	}
	if e.N < w.trim.Before && e.Kept() {
		w.kept++
		w.sum = SumKept(w.sum, hash)
	}
	w.last = Place{e.N, hash}
}

func (w *Walk) judge(e *Event, hash, written string) {
	switch {
	case written != "" && written != hash:
		w.broken(e.N, "its text is not what was written")
	case e.N <= w.last.N:
		w.broken(e.N, fmt.Sprintf("it stands after event %d", w.last.N))
	case e.N > w.last.N+1 && e.N > w.trim.Before:
		w.broken(e.N, fmt.Sprintf("events %d to %d are missing", w.last.N+1, e.N-1))
	case e.N > w.last.N+1:
		w.verdict.Missing += e.N - w.last.N - 1
	case e.Prev != w.last.Hash:
		w.broken(e.N, fmt.Sprintf("event %d is not the one it was written after", w.last.N))
	}
}

// Unread says that so many events are stored that cannot be read.
func (w *Walk) Unread(n uint64) {
	w.broken(0, fmt.Sprintf("%d events are stored but cannot be read", n))
}

// End says what was found.
func (w *Walk) End() Verdict {
	if w.kept != w.trim.Kept || w.kept > 0 && hex.EncodeToString(w.sum) != w.trim.Sum {
		w.broken(0, fmt.Sprintf("of the %d events kept before %d, %d are there or one was changed", w.trim.Kept, w.trim.Before, w.kept))
	}
	if w.seek != "" && !w.seen {
		w.broken(0, "the event that was the head earlier is not there: history was rewritten, or retention has taken it away")
	}
	w.verdict.Last, w.verdict.Head = w.last.N, w.last.Hash
	return w.verdict
}

func (w *Walk) broken(n uint64, why string) {
	w.verdict.Broken++
	if len(w.verdict.Breaks) < maxBreaks {
		w.verdict.Breaks = append(w.verdict.Breaks, Break{n, why})
	}
}

// SumKept adds a kept event's hash to the sum of a Trim.
func SumKept(sum []byte, hash string) []byte {
	next := sha256.Sum256(append(append([]byte{}, sum...), hash...))
	return next[:]
}
