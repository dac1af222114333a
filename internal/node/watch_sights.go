package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"spillway/internal/config"
	"spillway/internal/probe"
	"spillway/internal/probe/postgres"
	"spillway/internal/sample"
)

// errNoServer: the config has lost the server since the probe was made.
var errNoServer = errors.New("the server is no longer in the config")

// sights are the probes that run, and what they keep. Those of the process
// itself last as long as it does; those of servers and targets are made anew
// when a config names others.
type sights struct {
	hot     *probe.Slot[sample.Proxy]
	machine *probe.Machine
	inner   *probe.Runner

	outer    *probe.Runner
	postgres map[string]*postgres.Server
	targets  []*probe.Target
}

// Times of the probes that ask nobody outside.
const (
	hotEvery, hotTimeout         = time.Second, 900 * time.Millisecond
	machineEvery, machineTimeout = 5 * time.Second, time.Second
)

func (d *watchDesk) startSights(c *config.Config) *sights {
	s := &sights{hot: &probe.Slot[sample.Proxy]{}, machine: &probe.Machine{}}
	s.inner = probe.NewRunner([]probe.Probe{
		{Name: "proxy", Every: hotEvery, Timeout: hotTimeout, Withdraw: s.hot.Withdraw, Run: func(ctx context.Context) error {
			p, err := d.hotSight.read(ctx)
			if err == nil {
				s.hot.Set(p)
			}
			return err
		}},
		{Name: "machine", Every: machineEvery, Timeout: machineTimeout, Withdraw: s.machine.Withdraw, Run: s.machine.Look},
	})
	s.inner.Start()
	s.startOuter(d.postgresOf(c), targetsOf(c))
	return s
}

func (s *sights) startOuter(servers map[string]*postgres.Server, targets []*probe.Target) {
	s.postgres, s.targets = servers, targets
	var probes []probe.Probe
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		probes = append(probes, servers[name].Probes()...)
	}
	for _, t := range targets {
		probes = append(probes, t.Probe())
	}
	s.outer = probe.NewRunner(probes)
	s.outer.Start()
}

func (s *sights) stopOuter() {
	s.outer.Stop()
	for _, one := range s.postgres {
		one.Close()
	}
	for _, t := range s.targets {
		t.Close()
	}
}

func (s *sights) stop() {
	s.inner.Stop()
	s.stopOuter()
}

func (s *sights) stats(at time.Time) []sample.Probe {
	return append(s.inner.Stats(at), s.outer.Stats(at)...)
}

// frame puts together what the probes have seen last.
func (s *sights) frame(at time.Time) *sample.Frame {
	f := &sample.Frame{At: at, Proxy: s.hot.Get(at, probe.Stale(hotEvery, hotTimeout)), Machine: s.machine.Get(at, probe.Stale(machineEvery, machineTimeout)),
		Probes: s.stats(at), Postgres: map[string]*sample.Postgres{}}
	for name, one := range s.postgres {
		f.Postgres[name] = one.Seen(at)
	}
	for _, t := range s.targets {
		if seen, ok := t.Seen(); ok {
			f.Targets = append(f.Targets, seen)
		}
	}
	return f
}
