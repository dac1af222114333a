package gauge

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"spillway/internal/drill/load"
	"spillway/internal/drill/outcome"
)

// Gauge holds what one side has shown so far. Safe from any goroutine.
type Gauge struct {
	began time.Time

	mu       sync.Mutex
	shots    []shot                      // guarded by mu
	failures map[string]*outcome.Failure // guarded by mu; of the API, by code
	lockouts map[string]*outcome.Failure // guarded by mu; of the operator
	looks    []Look                      // guarded by mu
	away     []float64                   // guarded by mu; when the server was stopped, and was back, in turns
	knocks   []float64                   // guarded by mu; when PostgreSQL was asked for a connection
	counts   []count                     // guarded by mu
	waiting  []wait                      // guarded by mu
	events   []outcome.Event             // guarded by mu
	tick     float64                     // guarded by mu; when Count was last called
	stall    float64                     // guarded by mu; the most between two calls
	told     int                         // guarded by mu; events that Live has told
	named    *Naming                     // guarded by mu; the first
	known    chan struct{}               // closed with the first naming
}

// shot is a request; times in seconds since the gauge began.
type shot struct {
	due, took float64
	failed    bool
	code      string
}

// count is PostgreSQL's connections by role at one moment.
type count struct {
	at    float64
	roles map[string]int
	busy  map[string]int // of these, with a statement that runs
	all   int
}

type wait struct {
	at float64
	n  int
}

// Look is one try of the operator.
type Look struct {
	At, Took float64
	In       bool
	Said     string
}

// Naming is when and how the cause was named.
type Naming struct {
	At     float64
	By, As string
}

// New makes a gauge whose clock begins now.
func New() *Gauge {
	return &Gauge{began: time.Now(), known: make(chan struct{}), failures: map[string]*outcome.Failure{}, lockouts: map[string]*outcome.Failure{}}
}

// Now is the gauge's clock.
func (g *Gauge) Now() float64 { return time.Since(g.began).Seconds() }

// Moment is the wall clock's time of a gauge's.
func (g *Gauge) Moment(at float64) time.Time {
	return g.began.Add(time.Duration(at * float64(time.Second)))
}

// Shot notes a request of the API.
func (g *Gauge) Shot(s load.Shot) {
	one := shot{due: s.Due.Sub(g.began).Seconds(), took: s.Took.Seconds(), failed: s.Err != nil, code: load.Code(s.Err)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shots = append(g.shots, one)
	if s.Err != nil {
		fail(g.failures, one.code, load.Text(s.Err))
	}
}

// Look notes a try of the operator.
func (g *Gauge) Look(l load.Look) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks = append(g.looks, Look{At: l.At.Sub(g.began).Seconds(), Took: l.Took.Seconds(), In: l.Err == nil, Said: l.Said})
	if l.Err != nil {
		fail(g.lockouts, "psql", l.Err.Error())
	}
}

func fail(kinds map[string]*outcome.Failure, code, sample string) {
	one := kinds[code]
	if one == nil {
		one = &outcome.Failure{Code: code, Sample: sample}
		kinds[code] = one
	}
	one.Count++
}

// Event notes that something happened now.
func (g *Gauge) Event(who, kind, what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.event(who, kind, what)
}

// Name notes that the cause was named; the first time counts.
func (g *Gauge) Name(by, as string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.named == nil {
		g.named = &Naming{time.Since(g.began).Seconds(), by, as}
		g.event(by, "named", as)
		close(g.known)
	}
}

// Named is closed when the cause is named.
func (g *Gauge) Named() <-chan struct{} { return g.known }

// maxEvents bounds what a run may tell; what comes after is not kept.
const maxEvents = 400

func (g *Gauge) event(who, kind, what string) {
	if len(g.events) < maxEvents {
		g.events = append(g.events, outcome.Event{At: time.Since(g.began).Seconds(), Who: who, Kind: kind, What: what})
	}
}

// Count notes how many connections a postmaster's clients have now.
func (g *Gauge) Count(postmaster int) {
	c := count{at: g.Now()}
	g.mu.Lock()
	g.tick, g.stall = c.at, max(g.stall, c.at-g.tick)
	g.mu.Unlock()
	if postmaster == 0 {
		return
	}
	c.roles, c.busy = backends(postmaster)
	for _, n := range c.roles {
		c.all += n
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts = append(g.counts, c)
}

// ServerLine reads a line of PostgreSQL's log: with log_connections it has one
// for every connection it was asked for, with the time at which that was.
func (g *Gauge) ServerLine(line string) {
	const stamp = "2006-01-02 15:04:05.000 MST" // of log_line_prefix = '%m [%p] '
	if len(line) < len(stamp) || !strings.Contains(line, "connection received: ") {
		return
	}
	if at, err := time.Parse(stamp, line[:len(stamp)]); err == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.knocks = append(g.knocks, at.Sub(g.began.Round(0)).Seconds())
	}
}

// Away notes that the server is away from now on; called again, that it is back.
func (g *Gauge) Away() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away = append(g.away, time.Since(g.began).Seconds())
}

// backGrace is how long after its return a server may still be found away:
// Spillway knocks at an absent one about once a second, and at one that has
// refused it several times a little later.
const backGrace = 3

// duringAway tells whether a try met a server that was away, or had just come
// back: nobody gets in then.
func (g *Gauge) duringAway(l Look) bool {
	for i := 0; i < len(g.away); i += 2 {
		if l.At+l.Took >= g.away[i] && (i+1 == len(g.away) || l.At <= g.away[i+1]+backGrace) {
			return true
		}
	}
	return false
}

// Waiting notes how many clients wait in Spillway's queues.
func (g *Gauge) Waiting(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, wait{time.Since(g.began).Seconds(), n})
}

// Live is the state of the last whole second, for whoever watches.
type Live struct {
	At      float64
	OK      int
	Failed  int
	P99     float64
	Conns   map[string]int
	Waiting int
	Looks   int
	In      int
	Fresh   []outcome.Event // since the last call
}

// Live returns what the last second was like; one goroutine calls it.
func (g *Gauge) Live() Live {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Since(g.began).Seconds()
	l := Live{At: now, Looks: len(g.looks)}
	var took []float64
	for i := len(g.shots) - 1; i >= 0 && g.shots[i].due > now-15; i-- {
		if s := g.shots[i]; s.due+s.took > now-1 {
			took = append(took, s.took)
			if s.failed {
				l.Failed++
			} else {
				l.OK++
			}
		}
	}
	l.P99 = quantile(took, 0.99)
	if n := len(g.counts); n > 0 {
		l.Conns = g.counts[n-1].roles
	}
	if n := len(g.waiting); n > 0 {
		l.Waiting = g.waiting[n-1].n
	}
	for _, look := range g.looks {
		if look.In {
			l.In++
		}
	}
	l.Fresh = append(l.Fresh, g.events[g.told:]...)
	g.told = len(g.events)
	return l
}

// quantile sorts took; 0 of none.
func quantile(took []float64, q float64) float64 {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(int(q*float64(len(took))), len(took)-1)]
}

func failuresOf(kinds map[string]*outcome.Failure) []outcome.Failure {
	all := []outcome.Failure{}
	for _, one := range kinds {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b outcome.Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code))
	})
	return all
}
