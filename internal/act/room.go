package act

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a Room is made of.
type Config struct {
	Path string // of the file that keeps actions; "" = they end with the process
	// Rules are those of the config in force.
	Rules func() *Rules
	// Ground is the proxy's holders, Foreign those of a server that do not come
	// through it; nil where there are none.
	Ground  Ground
	Foreign func(server string) (Ground, error)
	// Enforce makes what Standing returns hold. It is called without locks held.
	Enforce func() error
	// Observe reads how a subject fares, for the record; may be nil.
	Observe func(ctx context.Context, o *Order) map[string]any
	// Protected says why a fingerprint may not be banned; "" = it may.
	Protected func(fingerprint uint64) string
	// Note puts an event into the record.
	Note func(ctx context.Context, kind string, body any) error
	Log  *slog.Logger
}

// Bounds of the room.
const (
	maxUnderway = 8   // actions at once
	maxRuns     = 4   // commands at once, of these
	maxListed   = 500 // actions remembered, those that stand not counted
	maxDetailed = 50  // of them with the rows they hit
	// actTimeout bounds one action, but for commands, which have their own.
	actTimeout = 2 * time.Minute
	noteWait   = 2 * time.Second
)

// Room keeps actions and carries them out. Safe from any goroutine.
type Room struct {
	Config
	standing atomic.Pointer[Standing]
	slots    chan struct{} // a token for each action under way
	runs     chan struct{} // likewise for commands, so that they leave room for kills
	saves    chan chan error
	wake     chan struct{}
	stop     context.CancelFunc
	life     context.Context
	running  sync.WaitGroup
	keeping  sync.WaitGroup
	once     sync.Once

	mu       sync.Mutex
	actions  []*Action            // guarded by mu; oldest first
	keys     map[string]*Action   // guarded by mu; by idempotency key
	lastAuto map[string]time.Time // guarded by mu; by rule
	counts   map[Count]uint64     // guarded by mu
}

// Count is what actions are counted by.
type Count struct {
	Kind   Kind
	Result string // applied, failed, refused
}

// Counts are the actions since the start; the caller owns what it gets.
func (r *Room) Counts() map[Count]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

func (r *Room) count(k Kind, result string) {
	if !slices.Contains(kinds(), k) {
		k = "unknown" // it is the caller's text
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[Count{k, result}]++
}

// New makes a room with what the file keeps. A file that cannot be read is told
// in the log: it must not keep the node from starting.
func New(c Config) *Room {
	r := &Room{Config: c, slots: make(chan struct{}, maxUnderway), runs: make(chan struct{}, maxRuns), saves: make(chan chan error), wake: make(chan struct{}, 1),
		keys: map[string]*Action{}, lastAuto: map[string]time.Time{}, counts: map[Count]uint64{}}
	r.life, r.stop = context.WithCancel(context.Background())
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	kept, err := load(c.Path)
	if err != nil {
		r.Log.Error("kept actions not read: pauses, limits and bans of before do not hold", "error", err)
	}
	r.actions = kept
	for _, a := range kept {
		if a.Order.Key != "" {
			r.keys[a.Order.Key] = a
		}
	}
	r.expireLocked(time.Now())
	r.standing.Store(standingOf(r.actions))
	return r
}

// Standing is what is in force; it waits for nothing.
func (r *Room) Standing() *Standing { return r.standing.Load() }

// Start begins to watch the clock.
func (r *Room) Start() error {
	r.running.Go(r.clock)
	r.keeping.Go(r.keeper)
	return nil
}

// Stop ends the clock and waits for actions under way until ctx ends.
func (r *Room) Stop(ctx context.Context) error {
	r.mu.Lock()
	r.stop() // no finding is heard any more
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		r.once.Do(func() { close(r.saves) }) // nobody asks any more
		r.keeping.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop actions: %w", ctx.Err())
	}
}

// List returns the actions, the newest first, without the rows they hit.
func (r *Room) List() []Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Action, 0, len(r.actions))
	for i := len(r.actions) - 1; i >= 0; i-- {
		list = append(list, r.actions[i].brief())
	}
	return list
}

// Get returns one action with the rows it hit.
func (r *Room) Get(id string) (Action, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.findLocked(id); a != nil {
		return *a, nil
	}
	return Action{}, &Refusal{Unknown, fmt.Sprintf("there is no action %q", id), "`spillway actions` lists them."}
}

func (r *Room) findLocked(id string) *Action {
	for _, a := range r.actions {
		if a.ID == id {
			return a
		}
	}
	return nil
}

// Do carries an order out, or only shows what it would hit. The error is a
// *Refusal where nothing was done; another one comes with the action that
// failed. What has begun goes on when ctx ends.
func (r *Room) Do(ctx context.Context, who Caller, o Order) (Action, error) {
	a, err := r.do(ctx, who, o)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		r.Log.Warn("action refused", "action", o.Kind, "subject", o.Names(), "by", who.Who, "reason", refusal.Text)
		r.count(o.Kind, "refused")
		r.note("action.refused", map[string]any{"summary": fmt.Sprintf("%s %s by %s refused: %s", o.Kind, o.Names(), who.Who, refusal.Text),
			"order": o, "who": who.Who, "error": refusal.Text})
	}
	return a, err
}

func (r *Room) do(ctx context.Context, who Caller, o Order) (Action, error) {
	rules := r.Rules()
	if err := o.check(rules); err != nil {
		return Action{}, err
	}
	if err := who.authorise(&o, rules); err != nil {
		return Action{}, err
	}
	if o.Kind == Undo {
		if err := r.authoriseUndo(&who, &o); err != nil {
			return Action{}, err
		}
	}
	leave, err := r.enter(o.Kind)
	if err != nil {
		return Action{}, err
	}
	defer leave()
	a := &Action{ID: newID(), Order: o, Subject: o.Names(), Who: who.Who, At: time.Now().Round(0), State: Underway}
	if before, err := r.claim(a); before != nil || err != nil {
		return deref(before), err
	}
	span := actTimeout
	if o.Kind == Run && rules.Commands[o.Command] != nil {
		span = rules.Commands[o.Command].Timeout + 10*time.Second
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), span)
	defer cancel()
	stopped := context.AfterFunc(r.life, cancel)
	defer stopped()
	return r.carryOut(ctx, a, rules)
}

// enter counts an action under way; too many are refused, and so are those that
// come after the end.
func (r *Room) enter(k Kind) (leave func(), err error) {
	busy := &Refusal{Conflict, "too many actions are under way", "Try again in a moment."}
	places := []chan struct{}{r.slots}
	if k == Run {
		places = append(places, r.runs)
	}
	for i, place := range places {
		select {
		case place <- struct{}{}:
		default:
			for _, taken := range places[:i] {
				<-taken
			}
			return nil, busy
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	empty := func() {
		for _, place := range places {
			<-place
		}
	}
	if r.life.Err() != nil {
		empty()
		return nil, &Refusal{Conflict, "the node is stopping", ""}
	}
	r.running.Add(1)
	return func() { empty(); r.running.Done() }, nil
}

// claim takes the order's key; before is what the key was used for already.
func (r *Room) claim(a *Action) (before *Action, err error) {
	if a.Order.Key == "" || a.Order.DryRun {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.keys[a.Order.Key]
	switch {
	case old == nil:
		record := *a
		r.keys[a.Order.Key] = &record
		return nil, nil
	case !sameOrder(&old.Order, &a.Order):
		return nil, &Refusal{Conflict, fmt.Sprintf("the key %q was used for another action (%s)", a.Order.Key, old.ID), "Use a new key."}
	}
	copied := *old
	return &copied, nil
}

func (r *Room) unclaim(a *Action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.keys[a.Order.Key]; old != nil && old.ID == a.ID {
		delete(r.keys, a.Order.Key)
	}
}

func deref(a *Action) Action {
	if a == nil {
		return Action{}
	}
	return *a
}

func sameOrder(a, b *Order) bool {
	x, y := *a, *b
	pids := slices.Equal(x.Select.PIDs, y.Select.PIDs)
	x.Select.PIDs, y.Select.PIDs = nil, nil
	return pids && x.Kind == y.Kind && x.Subject() == y.Subject() && x.Limit == y.Limit && x.Max == y.Max &&
		x.Queue == y.Queue && x.Cancel == y.Cancel && x.Server == y.Server && x.For == y.For &&
		fmt.Sprint(x.Select) == fmt.Sprint(y.Select)
}

// note writes an event. It does not wait for long: an action in an incident
// must not hang on a disk.
func (r *Room) note(kind string, body any) {
	if r.Note == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), noteWait)
	defer cancel()
	if err := r.Note(ctx, kind, body); err != nil {
		r.Log.Error("event not recorded", "kind", kind, "error", err)
	}
}
