package node

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"spillway/internal/config"
	"spillway/internal/job"
)

// jobEvery is how often the node looks at jobs: a login and three statements
// for each database. A job that is to start each minute is late after 90 s.
const jobEvery = 5 * time.Second

// jobAway is how long a server that could not be asked is left alone: one that
// is away has enough who knock.
const jobAway = 15 * time.Second

// jobDesk watches the jobs of the config's servers.
type jobDesk struct {
	*seam
	watch job.Watch // the watching goroutine's
	quit  context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	config *config.Config      // guarded by mu; what holds now
	since  time.Time           // guarded by mu; since when config.Jobs are expected
	seen   map[jobPlace]jobSaw // guarded by mu; the last look that succeeded
	ended  map[jobRun]float64  // guarded by mu; ends seen since the start
}

// jobSaw is one look at a place.
type jobSaw struct {
	states []JobState
	failed bool      // the latest look did not succeed; states are of the one before
	tried  time.Time // when that was
}

// jobRun names runs that are counted together.
type jobRun struct {
	at  jobPlace
	job string
	how job.How
}

func newJobDesk(s *seam) *jobDesk {
	return &jobDesk{seam: s, config: s.setup.config, since: time.Now(), seen: map[jobPlace]jobSaw{}, ended: map[jobRun]float64{}}
}

// keep takes a config. What was expected before is expected since then; a job
// that is new in it gets its time anew with all the others.
func (d *jobDesk) keep(c *config.Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !maps.EqualFunc(d.config.Jobs, c.Jobs, func(a, b *config.Job) bool { return *a == *b }) {
		d.since = time.Now()
	}
	d.config = c
}

func (d *jobDesk) holds() (*config.Config, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config, d.since
}

func (d *jobDesk) start() error {
	ctx, quit := context.WithCancel(context.Background())
	d.quit, d.done = quit, make(chan struct{})
	go func() {
		defer close(d.done)
		tick := time.NewTicker(jobEvery)
		defer tick.Stop()
		for {
			d.look(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return nil
}

func (d *jobDesk) stop(ctx context.Context) error {
	if d.quit == nil {
		return nil
	}
	d.quit()
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look asks every place at once, so that one that is away holds up no other.
func (d *jobDesk) look(ctx context.Context) {
	c, since := d.holds()
	places := jobPlaces(c)
	type answer struct {
		at     jobPlace
		states []JobState
		err    error
	}
	answers := make(chan answer, len(places))
	asked := 0
	for at, expect := range places {
		if d.rests(at) {
			continue
		}
		asked++
		go func() {
			states, err := at.ask(ctx, c, expect, since)
			answers <- answer{at, states, err}
		}()
	}
	for range asked {
		a := <-answers
		if ctx.Err() == nil {
			d.take(ctx, a.at, a.states, a.err)
		}
	}
	d.drop(ctx, places)
}

// rests tells whether a place that could not be asked is left alone for now.
func (d *jobDesk) rests(at jobPlace) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	saw := d.seen[at]
	return saw.failed && time.Since(saw.tried) < jobAway
}

// take keeps one look and tells what is new. A place that cannot be asked keeps
// its findings: that it is away is found elsewhere.
func (d *jobDesk) take(ctx context.Context, at jobPlace, states []JobState, err error) {
	d.mu.Lock()
	saw := d.seen[at]
	if err != nil {
		first := !saw.failed
		saw.failed, saw.tried = true, time.Now()
		d.seen[at] = saw
		d.mu.Unlock()
		if first {
			d.log.Warn("jobs cannot be watched", "server", at.String(), "error", err)
		}
		return
	}
	d.seen[at] = jobSaw{states: states}
	d.mu.Unlock()
	d.tell(ctx, at, d.watch.Look(at.String(), states))
}

// drop ends the findings of places that the config names no more.
func (d *jobDesk) drop(ctx context.Context, places map[jobPlace][]job.Expect) {
	d.mu.Lock()
	var gone []jobPlace
	for at := range d.seen {
		if _, is := places[at]; !is {
			gone = append(gone, at)
			delete(d.seen, at)
		}
	}
	d.mu.Unlock()
	for _, at := range gone {
		d.tell(ctx, at, d.watch.Forget(at.String()))
	}
}

// jobEnded is the event of a run's end.
type jobEnded struct {
	Server   string `json:"server"`
	Database string `json:"database,omitempty"`
	job.End
}

func (d *jobDesk) tell(ctx context.Context, at jobPlace, news job.News) {
	for _, end := range news.Ended {
		d.mu.Lock()
		d.ended[jobRun{at, end.Job, end.How}]++
		d.mu.Unlock()
		if err := d.note(ctx, "job.ended", jobEnded{at.server, at.database, end}); err != nil {
			d.log.Warn("event not recorded", "kind", "job.ended", "error", err)
		}
	}
	for _, fact := range news.Found {
		d.log.Warn("job finding", "server", at.String(), "kind", fact.Kind, "text", fact.Text)
		d.word.found(at.finding(fact))
	}
	for _, fact := range news.Gone {
		f := at.finding(fact)
		f.Cleared, f.At = true, time.Now()
		d.log.Info("job finding is over", "server", at.String(), "kind", fact.Kind, "job", fact.Job)
		d.word.found(f)
	}
}

// finding is a fact as every room gets it. A job that does its work no more is
// for a person to see to at once; what may pass by itself is a warning.
func (p jobPlace) finding(fact job.Fact) finding {
	level := "warn"
	if fact.Kind == job.Failing || fact.Kind == job.Silent {
		level = "page"
	}
	return finding{
		Key: "job/" + p.String() + "/" + fact.Job + "/" + string(fact.Kind), Detector: "job-" + strings.ReplaceAll(string(fact.Kind), "_", "-"),
		Level: level, Upstream: p.server, Summary: fact.Text, Evidence: []string{"table spillway.job_run of server " + p.String()},
		Runbook: jobRunbook(fact.Kind), Since: fact.Since, At: time.Now(),
	}
}

// jobRunbook is what to do about a kind of fact.
func jobRunbook(kind job.Kind) string {
	switch kind {
	case job.Late:
		return "See whether its timer runs, and whether it reaches PostgreSQL: it exits with 1 and says why where it does not."
	case job.Overrun:
		return "See with `spillway jobs` how long its runs take; give it less to do at once, more time, or less often."
	case job.Failing:
		return "See the exit codes in `spillway jobs -o json` and the job's own output."
	case job.TooOften:
		return "Look for a second timer that starts it; its name is taken by more than one."
	case job.Overlaps:
		return "Its runs take longer than the time between them; give each less to do, or start it less often."
	case job.Silent:
		return "What it does has not been done since then. See `spillway jobs`; run it by hand and look."
	}
	return ""
}

func comparePlaces(a, b jobPlace) int {
	return cmp.Or(strings.Compare(a.server, b.server), strings.Compare(a.database, b.database))
}

// latest are the last looks, in order.
func (d *jobDesk) latest() (looks []jobLook, ended map[jobRun]float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, at := range slices.SortedFunc(maps.Keys(d.seen), comparePlaces) {
		looks = append(looks, jobLook{at, d.seen[at]})
	}
	return looks, maps.Clone(d.ended)
}

// jobLook is a place with its last look.
type jobLook struct {
	jobPlace
	jobSaw
}
