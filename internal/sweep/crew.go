package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/run"
	"spillway/internal/sweep/target"
)

// Config is what a Crew is made of.
type Config struct {
	// Node names this node as a sweep's holder: region, host and process.
	Node string
	// Reach says how a place is reached; an empty server or database is the
	// only one, or the server's own.
	Reach func(Place) (Place, Access, error)
	// Places are where sweeps are looked for, beside those asked about.
	Places func() []Place
	Note   func(kind string, body any)
	// Grown hears of every judgement whether a table outgrows its sweep: after
	// each run, and every ten minutes of one.
	Grown func(Growth)
	Log   *slog.Logger
}

// Crew runs a node's sweeps. Its methods are safe from any goroutine.
type Crew struct {
	config Config
	stop   context.CancelFunc
	ctx    context.Context
	work   sync.WaitGroup

	mu      sync.Mutex
	live    map[key]*worker         // guarded by mu: at work here
	places  map[Place]bool          // guarded by mu: asked about before
	looked  map[Place]time.Time     // guarded by mu: when sweeps without a runner were looked for
	open    map[Place]time.Duration // guarded by mu: how often it is looked at for the sweeps seen there
	orders  map[string]*timed       // guarded by mu: by name in the config
	changed chan struct{}           // guarded by mu; closed when orders change
}

type key struct {
	place Place
	id    int64
}

// worker is one run of one sweep here.
type worker struct {
	now  run.Progress  // guarded by the crew's mu
	gone chan struct{} // closed when it has ended
}

// leaving is how long a run is waited for that has written down its end and is
// about to go.
const leaving = 2 * time.Second

// holderNode begins the holder of a sweep that a node runs; other nodes take it
// up when its runner dies.
const holderNode = "node "

// New makes a crew that does nothing before Start.
func New(c Config) *Crew {
	ctx, cancel := context.WithCancel(context.Background())
	return &Crew{config: c, ctx: ctx, stop: cancel, live: map[key]*worker{}, places: map[Place]bool{}, looked: map[Place]time.Time{},
		open: map[Place]time.Duration{}, orders: map[string]*timed{}, changed: make(chan struct{})}
}

// Start begins to keep the schedule and to look for sweeps left behind.
func (c *Crew) Start() error {
	c.work.Go(c.keepTime)
	c.work.Go(c.adopt)
	return nil
}

// Stop ends what runs after the batch under way; it stays to be taken up.
func (c *Crew) Stop(ctx context.Context) error {
	c.stop()
	ended := make(chan struct{})
	go func() { c.work.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errors.New("a batch did not end in time; its transaction is rolled back")
	}
}

// Plan plans a sweep.
func (c *Crew) Plan(ctx context.Context, o Order) (*plan.Plan, error) {
	_, access, err := c.reach(o.Place)
	if err != nil {
		return nil, err
	}
	return access.Plan(ctx, o.Order)
}

// Launch plans a sweep, writes it down and runs it in the background.
func (c *Crew) Launch(ctx context.Context, o Order) (*run.Sweep, error) {
	place, access, err := c.reach(o.Place)
	if err != nil {
		return nil, err
	}
	id, err := access.Begin(ctx, o)
	if err != nil {
		return nil, err
	}
	return c.crew(ctx, place, access, id)
}

// Resume takes a sweep up here.
func (c *Crew) Resume(ctx context.Context, place Place, ref string) (*run.Sweep, error) {
	place, access, s, err := c.find(ctx, place, ref)
	switch {
	case err != nil:
		return nil, err
	case s.Phase.Over():
		return nil, fmt.Errorf("sweep %d is %s: %w", s.ID, s.Phase, run.ErrOver)
	case s.Alive:
		// It may just have been asked to pause.
		return access.Ask(ctx, s.ID, run.WantRun)
	}
	return c.crew(ctx, place, access, s.ID)
}

// Ask pauses or cancels a sweep, whoever runs it.
func (c *Crew) Ask(ctx context.Context, place Place, ref string, want run.Want) (*run.Sweep, error) {
	_, access, s, err := c.find(ctx, place, ref)
	if err != nil {
		return nil, err
	}
	return access.Ask(ctx, s.ID, want)
}

// crew runs sweep id in the background and returns it as it stands.
func (c *Crew) crew(ctx context.Context, place Place, access Access, id int64) (*run.Sweep, error) {
	if c.ctx.Err() != nil {
		return nil, errors.New("the node is stopping")
	}
	c.work.Go(func() { c.run(place, access, id, false) })
	list, err := c.list(ctx, place, access)
	if err != nil {
		return nil, err
	}
	return Find(list, fmtID(id))
}

// run carries a sweep on and logs how it ended.
// One that is adopted is left alone when a person has paused it meanwhile.
func (c *Crew) run(place Place, access Access, id int64, adopted bool) {
	k := key{place, id}
	log := c.config.Log.With("sweep", id, "server", place.Server, "database", place.Database)
	me := c.enter(k)
	if me == nil {
		return
	}
	ended, judged := make(chan struct{}), make(chan struct{})
	go func() { defer close(judged); c.watchGrowth(k, access, ended) }()
	defer func() { close(ended); <-judged }()
	defer c.leave(k, me)
	s, err := run.Run(c.ctx, run.Config{
		Dial: access.Dial("runner"), Watch: access.Dial("brakes"), Holder: holderNode + c.config.Node, Traffic: access.Traffic,
		Tell: func(p run.Progress) {
			c.mu.Lock()
			defer c.mu.Unlock()
			me.now = p
		},
		Note: c.config.Note, Adoptable: true, Adopts: adopted, Log: log,
	}, id)
	switch {
	case errors.Is(err, run.ErrTaken), errors.Is(err, run.ErrFenced), errors.Is(err, run.ErrOver):
		log.Info("sweep is another's", "reason", err)
	case err != nil:
		log.Error("sweep failed", "error", err)
	default:
		log.Info("sweep ended", "phase", s.Phase, "deleted", s.Deleted, "reason", s.Reason)
	}
}

// enter makes room for a run of k, nil when there is one here already.
func (c *Crew) enter(k key) *worker {
	for deadline := time.Now().Add(leaving); ; {
		c.mu.Lock()
		other := c.live[k]
		if other == nil {
			me := &worker{gone: make(chan struct{})}
			c.live[k] = me
			c.mu.Unlock()
			return me
		}
		c.mu.Unlock()
		select {
		case <-other.gone:
		case <-time.After(time.Until(deadline)):
			return nil
		case <-c.ctx.Done():
			return nil
		}
	}
}

func (c *Crew) leave(k key, me *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, k)
	close(me.gone)
}

func (c *Crew) reach(p Place) (Place, Access, error) {
	place, access, err := c.config.Reach(p)
	if err == nil {
		c.mu.Lock()
		c.places[place] = true
		c.mu.Unlock()
	}
	return place, access, err
}

// all are the places to look in.
func (c *Crew) all() []Place {
	places := map[Place]bool{}
	c.mu.Lock()
	maps.Copy(places, c.places)
	c.mu.Unlock()
	for _, p := range c.config.Places() {
		if full, _, err := c.config.Reach(p); err == nil {
			places[full] = true
		}
	}
	return slices.SortedFunc(maps.Keys(places), func(a, b Place) int {
		return strings.Compare(a.Server+"\x00"+a.Database, b.Server+"\x00"+b.Database)
	})
}

// find finds the sweep ref means, in place or, if that is empty, anywhere.
func (c *Crew) find(ctx context.Context, place Place, ref string) (Place, Access, *run.Sweep, error) {
	places := c.all()
	if place != (Place{}) {
		places = []Place{place}
	}
	var found *run.Sweep
	var where Place
	var how Access
	var first error
	for _, p := range places {
		p, access, err := c.reach(p)
		if err != nil {
			return p, access, nil, err
		}
		list, err := c.list(ctx, p, access)
		if err != nil {
			first = errors.Join(first, err)
			continue
		}
		s, err := Find(list, ref)
		switch {
		case errors.Is(err, run.ErrNone):
		case err != nil:
			return p, access, nil, err
		case found != nil && !found.Phase.Over() && s.Phase.Over():
		case found != nil && found.Phase.Over() == s.Phase.Over():
			return p, access, nil, fmt.Errorf("sweep %s: %w: in %s/%s and in %s/%s; name the database", ref, errAmbiguous, where.Server, where.Database, p.Server, p.Database)
		default:
			found, where, how = s, p, access
		}
	}
	if found == nil {
		return place, how, nil, errors.Join(first, fmt.Errorf("sweep %s: %w", ref, run.ErrNone))
	}
	return where, how, found, nil
}

// Listed is a sweep with its place and, while it runs here, its speed.
type Listed struct {
	Server string `json:"server"`
	run.Progress
}

// List are the sweeps of all places; a place that cannot be asked costs a line
// of the log and its sweeps.
func (c *Crew) List(ctx context.Context) []Listed {
	all := []Listed{}
	for _, p := range c.all() {
		p, access, err := c.reach(p)
		var list []run.Sweep
		if err == nil {
			list, err = c.list(ctx, p, access)
		}
		if err != nil {
			c.config.Log.Warn("sweeps cannot be listed", "server", p.Server, "database", p.Database, "error", err)
			continue
		}
		for _, s := range list {
			all = append(all, c.progress(p, s))
		}
	}
	return all
}

func (c *Crew) progress(p Place, s run.Sweep) Listed {
	c.mu.Lock()
	defer c.mu.Unlock()
	if live, here := c.live[key{p, s.ID}]; here && live.now.ID == s.ID && s.Phase == run.Running {
		return Listed{p.Server, live.now}
	}
	return Listed{p.Server, run.Progress{Sweep: s, Left: s.Left(), Part: s.Part(), ETA: -1, At: time.Now()}}
}

// Live are the sweeps at work in this node now, without asking a database.
func (c *Crew) Live() []Listed {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Listed, 0, len(c.live))
	for k, w := range c.live {
		if w.now.ID != 0 {
			all = append(all, Listed{k.place.Server, w.now})
		}
	}
	return all
}

// Growth says of every table that was ever swept whether it outgrows its sweep.
func (c *Crew) Growth(ctx context.Context) []Growth {
	all := []Growth{}
	for _, p := range c.all() {
		p, access, err := c.reach(p)
		if err != nil {
			continue
		}
		list, err := c.list(ctx, p, access)
		if err != nil {
			continue // List says so
		}
		for _, g := range growth(list) {
			g.Server = p.Server
			all = append(all, g)
		}
	}
	return all
}

// fmtID is a sweep's number as a person gives it.
func fmtID(id int64) string { return strconv.FormatInt(id, 10) }

// refused says whether err is a refusal, which trying again does not mend.
func refused(err error) bool {
	var r *target.Refusal
	return errors.As(err, &r)
}
