package record

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
	"spillway/internal/record/store"
)

// Record is the running record. All methods are safe from any goroutine.
type Record struct {
	config  Config
	started time.Time
	wake    chan struct{} // something waits for the log
	stop    context.CancelFunc
	done    sync.WaitGroup
	open    atomic.Pointer[store.Store] // nil while the log is not open
	counted atomic.Uint64               // makes ids differ
	ending  chan struct{}               // closed by Stop: write what waits, then end

	mu      sync.Mutex
	rules   Rules          // guarded by mu; so the following
	book    *incident.Book // what is in the log and in the backlog
	backlog []*entry       // not in the log yet, oldest first
	bytes   int            // of backlog
	lost    uint64         // events that found no room in the backlog and are not told yet
	lostAll uint64         // since the start
	lostAt  time.Time
	health  health
	series  series
	judged  map[string]judgement // what was last said of each incident
	untaken map[string]bool      // incidents that are told as taken by nobody
	auto    map[string]time.Time // when it was tried to resolve an incident by itself
}

// New makes a record; Start starts it. What is told before is kept.
func New(c Config) *Record {
	r := &Record{auto: map[string]time.Time{}, judged: map[string]judgement{}, untaken: map[string]bool{}, config: c, rules: c.Rules, wake: make(chan struct{}, 1), ending: make(chan struct{}), started: time.Now()}
	r.book = incident.NewBook(c.Rules.Incidents)
	r.series = newSeries(c.Bounds)
	r.stop = func() {}
	return r
}

// Start opens the log in the background and begins to measure. It does not wait
// and does not fail.
func (r *Record) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.done.Go(func() { r.write(ctx) })
	r.done.Go(func() { r.tick(ctx) })
	return nil
}

// Stop writes what waits, for a few seconds at most, and closes the log. What
// could not be written is gone, and the error says so.
func (r *Record) Stop(ctx context.Context) error {
	close(r.ending)
	ended := make(chan struct{})
	go func() {
		r.done.Wait()
		close(ended)
	}()
	cut := time.NewTimer(flushWithin)
	defer cut.Stop()
	select {
	case <-ended:
	case <-cut.C:
	case <-ctx.Done():
	}
	r.stop()
	select {
	case <-ended:
	case <-ctx.Done():
		return fmt.Errorf("stop the record: %w", ctx.Err())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.backlog); n > 0 {
		return fmt.Errorf("stop the record: %d events are not in the log", n)
	}
	return nil
}

// SetRules changes what holds from now on.
func (r *Record) SetRules(rules Rules) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules = rules
	r.book.SetRules(rules.Incidents)
}

// Rules are what holds now.
func (r *Record) Rules() Rules {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rules
}

// tick lets time pass: it measures, escalates, and resolves what is long over.
func (r *Record) tick(ctx context.Context) {
	every := time.NewTicker(tickEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.ending:
			return
		case <-every.C:
		}
		r.measure(ctx)
		r.pass(ctx)
	}
}

// pass asks the book what the time does.
func (r *Record) pass(ctx context.Context) {
	now := time.Now()
	since := incident.Since{Started: r.started, Patient: patient}
	asker := r.asker("")
	r.mu.Lock()
	some := len(r.book.Tick(asker, since)) > 0
	due := r.book.Due(now)
	r.mu.Unlock()
	if some {
		_, _ = r.submit(func(b *incident.Book) ([]event.Event, error) { return b.Tick(asker, since), nil })
	}
	for _, id := range due {
		r.resolveByItself(ctx, id)
	}
	r.judge(now)
	r.tellHealth()
	r.tellUntaken(now)
}

// asker is who asks now; "" is Spillway itself.
func (r *Record) asker(who string) incident.Asker {
	return incident.Asker{At: time.Now(), Actor: who, Node: r.config.Node}
}
