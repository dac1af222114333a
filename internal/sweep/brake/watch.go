package brake

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sweep/target"
)

// lookEvery is how often the brakes look. Four looks a second see a spike within
// half a second.
const lookEvery = 250 * time.Millisecond

// lookWithin bounds one look.
const lookWithin = 2 * time.Second

// Traffic is what the proxy knows of the swept server's clients; joined in node.
type Traffic interface {
	Sight(ctx context.Context) (Sight, error)
	// Held is how many servers clients hold at this moment. Cheap.
	Held() int
}

// Config is what a Watch is made of.
type Config struct {
	Dial    func(ctx context.Context) (*pgx.Conn, error)
	Tables  []uint32 // whose locks and vacuums matter
	Limits  Limits
	Traffic Traffic // nil: there is no proxy to ask
}

// Watch looks at the server until its context ends. Its methods are safe from
// any goroutine.
type Watch struct {
	config Config
	judge  *Judge
	slow   slowFacts

	mu      sync.Mutex
	verdict Verdict       // guarded by mu
	fresh   chan struct{} // guarded by mu; closed at the next look
	workers []int32       // guarded by mu: backends of the sweep; replaced, never changed
	own     int64         // guarded by mu: the sweep's own transactions
	busy    bool          // guarded by mu: in a batch
	idleAt  time.Time     // guarded by mu: end of the last batch
}

// NewWatch makes a watch that has seen nothing: until its first look the
// verdict is Hard.
func NewWatch(c Config) *Watch {
	return &Watch{config: c, judge: NewJudge(c.Limits), fresh: make(chan struct{}), workers: []int32{},
		verdict: verdict([]Reading{{"blind", Hard, "the server has not been looked at yet"}}, true)}
}

// Verdict is the last verdict; fresh is closed when there is another.
func (w *Watch) Verdict() (v Verdict, fresh <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.verdict, w.fresh
}

// Working tells that these backends are in batches now.
func (w *Watch) Working(pids ...uint32) {
	workers := make([]int32, len(pids))
	for i, pid := range pids {
		workers[i] = int32(pid)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workers, w.busy = workers, true
}

// Worked tells that a batch has ended.
func (w *Watch) Worked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy, w.idleAt = false, time.Now()
	w.own++
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			target.Close(conn)
		}
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		conn = w.round(ctx, conn)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round looks once and returns the connection for the next time, nil after an
// error.
func (w *Watch) round(ctx context.Context, conn *pgx.Conn) *pgx.Conn {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	f, conn, err := w.look(ctx, conn)
	if err == nil {
		w.tell(w.judge.Judge(f))
		return conn
	}
	if v, blind := w.judge.Blind(time.Now(), err); blind {
		w.tell(v)
	}
	if conn != nil {
		target.Close(conn)
	}
	return nil
}

func (w *Watch) tell(v Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdict = v
	close(w.fresh)
	w.fresh = make(chan struct{})
}

func (w *Watch) look(ctx context.Context, conn *pgx.Conn) (Facts, *pgx.Conn, error) {
	var f Facts
	if conn == nil {
		made, err := w.config.Dial(ctx)
		if err != nil {
			return f, nil, err
		}
		conn = made
		// A look runs for 0.3 ms and takes 4 to plan, which PostgreSQL would do five times.
		if _, err := conn.Exec(ctx, target.GenericPlans); err != nil {
			return f, conn, fmt.Errorf("set up the brakes' session: %w", err)
		}
	}
	w.mu.Lock()
	workers := w.workers
	f.OwnCommits = w.own
	f.Resting = !w.busy && time.Since(w.idleAt) > lookEvery+lookEvery/5
	w.mu.Unlock()
	f.At = time.Now()
	if err := f.read(ctx, conn, w.config.Tables, workers); err != nil {
		return f, conn, fmt.Errorf("look at the server: %w", err)
	}
	if err := w.slow.read(ctx, conn, &f); err != nil {
		return f, conn, fmt.Errorf("look at the server: %w", err)
	}
	if w.config.Traffic != nil {
		sight, err := w.config.Traffic.Sight(ctx)
		if err != nil {
			return f, conn, fmt.Errorf("look at the proxy: %w", err)
		}
		f.Sight = &sight
	}
	return f, conn, nil
}
