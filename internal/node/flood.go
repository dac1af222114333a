package node

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// floodWindow is how long one count of equal lines lasts.
const floodWindow = time.Second

// floodKeys bounds the memory of the counter: messages are constants of the
// program, so more keys than this mean somebody builds messages from input.
const floodKeys = 1024

// floodKey is what makes two lines equal.
type floodKey struct {
	level   slog.Level
	message string
}

// floodCount is one key's window. The first `limit` lines pass, the rest are counted.
type floodCount struct {
	ends       time.Time
	passed     int
	suppressed int
}

// flood is the state all handlers derived from one newFloodHandler share.
type flood struct {
	limit int
	sink  slog.Handler // without attributes; takes the "suppressed" lines

	mu     sync.Mutex
	counts map[floodKey]*floodCount // guarded by mu
}

// floodHandler passes at most limit lines a second of one level and message
// and then one line that says how many it kept back.
type floodHandler struct {
	next slog.Handler
	*flood
}

// newFloodHandler wraps next; limit 0 or less passes everything.
func newFloodHandler(next slog.Handler, limit int) slog.Handler {
	if limit <= 0 {
		return next
	}
	return &floodHandler{next: next, flood: &flood{limit: limit, sink: next, counts: map[floodKey]*floodCount{}}}
}

// Enabled implements slog.Handler.
func (h *floodHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler; the counts stay shared.
func (h *floodHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &floodHandler{next: h.next.WithAttrs(attrs), flood: h.flood}
}

// WithGroup implements slog.Handler; the counts stay shared.
func (h *floodHandler) WithGroup(name string) slog.Handler {
	return &floodHandler{next: h.next.WithGroup(name), flood: h.flood}
}

// Handle implements slog.Handler.
func (h *floodHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.admit(floodKey{r.Level, r.Message}) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// admit counts one line and says whether it is written. The first line kept
// back arms the report, so that the count appears even when the flood ends.
func (f *flood) admit(key floodKey) bool {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	count := f.counts[key]
	if count == nil || !now.Before(count.ends) && count.suppressed == 0 {
		if count == nil && len(f.counts) >= floodKeys {
			f.forget(now)
		}
		count = &floodCount{ends: now.Add(floodWindow)}
		f.counts[key] = count
	}
	if count.passed < f.limit {
		count.passed++
		return true
	}
	if count.suppressed == 0 {
		time.AfterFunc(count.ends.Sub(now), func() { f.report(key) })
	}
	count.suppressed++
	return false
}

// forget drops finished windows, or all without a report due when none is
// finished; the caller holds mu.
func (f *flood) forget(now time.Time) {
	for key, count := range f.counts {
		if count.suppressed == 0 && !now.Before(count.ends) {
			delete(f.counts, key)
		}
	}
	if len(f.counts) < floodKeys {
		return
	}
	for key, count := range f.counts {
		if count.suppressed == 0 {
			delete(f.counts, key)
		}
	}
}

// report ends a window that kept lines back and writes how many.
func (f *flood) report(key floodKey) {
	f.mu.Lock()
	count := f.counts[key]
	delete(f.counts, key)
	f.mu.Unlock()
	if count == nil || count.suppressed == 0 {
		return
	}
	r := slog.NewRecord(time.Now(), key.level, "suppressed equal lines", 0)
	r.AddAttrs(slog.String("message", key.message), slog.Int("count", count.suppressed))
	// A log that cannot be written has nowhere to say so.
	_ = f.sink.Handle(context.Background(), r)
}
