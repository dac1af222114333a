package node

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/config"
	"spillway/internal/detect"
	"spillway/internal/probe"
	"spillway/internal/proxy"
	"spillway/internal/sample"
	"spillway/internal/web"
)

// joinWatch brings probes and detectors: what they find is told to the other
// rooms, and with what those find it becomes the verdict.
func joinWatch(s *seam) (joint, error) {
	d := &watchDesk{seam: s, log: s.log.With("room", "watch"), others: map[string]finding{}, recorder: probe.NewRecorder()}
	d.keep(s.setup.config)
	s.word.onFinding(d.heard)
	s.word.overhear(d.overheard)
	s.verdict = func() (string, []string) {
		v := d.judged()
		return v.Sentence, v.RuledOut
	}
	s.shown = d.shown
	return joint{
		services: []service{{"watch", d.start, d.stop}},
		routes:   d.routes(),
		metrics:  []prometheus.Collector{newWatchCollector(d), newPostgresCollector(d)},
		apply:    d.keep,
	}, nil
}

// watchDesk runs the probes, asks the detectors once a second, and answers for
// what came of it.
type watchDesk struct {
	*seam
	log      *slog.Logger
	hotSight hotSight
	recorder *probe.Recorder
	cancel   context.CancelFunc
	done     sync.WaitGroup

	// turning is held while probes are started and stopped; taken before mu.
	turning sync.Mutex

	mu      sync.Mutex // guards what follows
	sights  *sights    // nil before the start and after the end
	watched watched
	engine  *detect.Engine
	frame   *sample.Frame
	own     map[string]detect.Finding // told and not cleared, by key
	others  map[string]finding        // of other rooms
	changes []detect.Change           // the last ones, oldest first
	owners  map[string]string
	// config is what holds now. The node's own must not be asked for: it is
	// locked while services start and stop.
	config *config.Config
}

// frameEvery is how often the detectors look.
const frameEvery = time.Second

// keep takes what a config says.
func (d *watchDesk) keep(c *config.Config) {
	owners := map[string]string{}
	for name, w := range c.Workloads {
		owners[name] = w.Owner
	}
	d.mu.Lock()
	if d.engine == nil {
		d.engine = detect.New(boundsOf(c), objectivesOf(c))
	} else {
		d.engine.Configure(boundsOf(c), objectivesOf(c))
	}
	d.owners, d.config = owners, c
	d.mu.Unlock()
	d.reprobe(c)
}

func (d *watchDesk) ownersNow() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.owners)
}

func (d *watchDesk) start() error {
	c := d.configNow()
	d.hotSight = hotSight{hot: d.hot, owners: d.ownersNow, bounds: proxy.HistogramBounds()}
	s := d.startSights(c)
	d.mu.Lock()
	d.sights, d.watched = s, watchedOf(c)
	d.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.done.Go(func() { d.loop(ctx) })
	return nil
}

func (d *watchDesk) stop(context.Context) error {
	if d.cancel == nil {
		return nil
	}
	d.cancel()
	d.done.Wait()
	d.turning.Lock()
	defer d.turning.Unlock()
	d.mu.Lock()
	s := d.sights
	d.sights = nil
	d.mu.Unlock()
	if s != nil {
		s.stop()
	}
	return nil
}

// watched is what of a config the outer probes depend on.
type watched struct {
	servers map[string]config.Server
	names   map[string][]string // databases by server
	watch   config.Watch
	targets map[string]config.Target
}

func watchedOf(c *config.Config) watched {
	w := watched{servers: map[string]config.Server{}, names: map[string][]string{}, watch: c.Watch, targets: map[string]config.Target{}}
	for name, one := range c.Servers {
		w.servers[name], w.names[name] = *one, tablesIn(c, name)
	}
	for name, one := range c.Targets {
		w.targets[name] = *one
	}
	return w
}

// reprobe makes the outer probes anew where a config asks for others.
func (d *watchDesk) reprobe(c *config.Config) {
	d.turning.Lock()
	defer d.turning.Unlock()
	next := watchedOf(c)
	d.mu.Lock()
	s, same := d.sights, reflect.DeepEqual(d.watched, next)
	d.mu.Unlock()
	if s == nil || same {
		return
	}
	fresh := &sights{hot: s.hot, machine: s.machine, inner: s.inner}
	s.stopOuter()
	fresh.startOuter(d.postgresOf(c), targetsOf(c))
	d.mu.Lock()
	d.sights, d.watched = fresh, next
	d.mu.Unlock()
}

func (d *watchDesk) configNow() *config.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

func (d *watchDesk) sightsNow() *sights {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sights
}

func (d *watchDesk) loop(ctx context.Context) {
	tick := time.NewTicker(frameEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			d.look(at)
		}
	}
}

// look makes a frame, lets the detectors judge it and tells what is new.
func (d *watchDesk) look(at time.Time) {
	f := d.sightsNow().frame(at)
	f.Region = d.configNow().Region
	d.recorder.Add(at, numbersOf(f, d.frameNow()))
	d.mu.Lock()
	tell := d.engine.Look(f)
	d.frame = f
	own := map[string]detect.Finding{}
	for _, one := range d.engine.Open() {
		own[one.Key] = one
	}
	for _, one := range tell {
		if one.Cleared {
			own[one.Key] = one // heard must know it as ours
		}
	}
	d.own = own
	d.mu.Unlock()
	for i := range tell {
		d.word.found(asFinding(&tell[i]))
	}
	d.mu.Lock()
	for _, one := range tell {
		if one.Cleared {
			delete(d.own, one.Key)
		}
	}
	d.mu.Unlock()
}

// frameNow is the last frame; nil before the first.
func (d *watchDesk) frameNow() *sample.Frame {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.frame
}

// probeStats tell how the probes do; none before the start.
func (d *watchDesk) probeStats() []sample.Probe {
	if s := d.sightsNow(); s != nil {
		return s.stats(time.Now())
	}
	return nil
}

func asFinding(f *detect.Finding) finding {
	return finding{Key: f.Key, Detector: f.Detector, Level: f.Level.String(), Upstream: f.Upstream, Workload: f.Workload, Fingerprint: f.Fingerprint,
		Summary: f.Summary, Evidence: f.Evidence, Runbook: f.Runbook, Since: f.Since, At: f.At, Cleared: f.Cleared}
}

// maxOthers bounds what other rooms' findings can take.
const maxOthers = 500

// heard keeps the findings of other rooms for the verdict.
func (d *watchDesk) heard(f finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ours := d.own[f.Key]; ours {
		return
	}
	if f.Cleared {
		delete(d.others, f.Key)
		return
	}
	if _, known := d.others[f.Key]; known || len(d.others) < maxOthers {
		d.others[f.Key] = f
	}
}

// findings are all that stand, those that page first.
func (d *watchDesk) findings() (all []detect.Finding) {
	for _, f := range d.own {
		all = append(all, f)
	}
	for _, f := range d.others {
		level := detect.Warn
		if f.Level == detect.Page.String() {
			level = detect.Page
		}
		all = append(all, detect.Finding{Key: f.Key, Detector: f.Detector, Level: level, Upstream: f.Upstream, Workload: f.Workload, Fingerprint: f.Fingerprint,
			Summary: f.Summary, Evidence: f.Evidence, Runbook: f.Runbook, Since: f.Since, At: f.At})
	}
	detect.Sort(all)
	return all
}

// judged is what stands now.
// shown are the findings as the page has them, the worst first.
func (d *watchDesk) shown() []web.Finding {
	var list []web.Finding
	for _, f := range d.judged().Findings {
		list = append(list, web.Finding{Page: f.Level == detect.Page, Summary: f.Summary, Since: f.Since, Runbook: f.Runbook})
	}
	slices.SortStableFunc(list, func(a, b web.Finding) int {
		switch {
		case a.Page == b.Page:
			return 0
		case a.Page:
			return -1
		}
		return 1
	})
	return list
}

func (d *watchDesk) judged() detect.Verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.engine.Judge(d.findings(), d.changes)
}
