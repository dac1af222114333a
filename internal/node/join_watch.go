package node

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/config"
	"spillway/internal/detect"
	"spillway/internal/probe"
	"spillway/internal/proxy"
	"spillway/internal/sample"
)

// joinWatch brings probes and detectors: what they find is told to the other
// rooms, and with what those find it becomes the verdict.
func joinWatch(s *seam) (joint, error) {
	d := &watchDesk{seam: s, log: s.log.With("room", "watch"), others: map[string]finding{}}
	d.keep(s.setup.config)
	s.word.onFinding(d.heard)
	s.word.overhear(d.overheard)
	return joint{
		services: []service{{"watch", d.start, d.stop}},
		routes:   d.routes(),
		metrics:  []prometheus.Collector{newWatchCollector(d)},
		apply:    d.keep,
	}, nil
}

// watchDesk runs the probes, asks the detectors once a second, and answers for
// what came of it.
type watchDesk struct {
	*seam
	log    *slog.Logger
	sight  hotSight
	runner *probe.Runner
	sights sights
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex // guards what follows
	engine  *detect.Engine
	frame   *sample.Frame
	own     map[string]detect.Finding // told and not cleared, by key
	others  map[string]finding        // of other rooms
	changes []detect.Change           // the last ones, oldest first
	owners  map[string]string
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
	defer d.mu.Unlock()
	if d.engine == nil {
		d.engine = detect.New(boundsOf(c), objectivesOf(c))
	} else {
		d.engine.Configure(boundsOf(c), objectivesOf(c))
		d.changed(time.Now(), "config reloaded")
	}
	d.owners = owners
}

func (d *watchDesk) ownersNow() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.owners)
}

func (d *watchDesk) start() error {
	d.sight = hotSight{hot: d.hot, owners: d.ownersNow, bounds: proxy.HistogramBounds()}
	d.sights = makeSights(d)
	d.runner = probe.NewRunner(d.sights.probes)
	d.runner.Start()
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
	d.runner.Stop()
	d.sights.close()
	return nil
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
	f := d.sights.frame(at)
	f.Region = d.current().Region
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

// verdict is what stands now.
func (d *watchDesk) verdict() detect.Verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.engine.Judge(d.findings(), d.changes)
}
