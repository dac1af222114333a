package node

import (
	"context"
	"time"

	"spillway/internal/probe"
	"spillway/internal/sample"
)

// sights are the probes of one config and what they keep.
type sights struct {
	desk    *watchDesk
	probes  []probe.Probe
	hot     *probe.Slot[sample.Proxy]
	machine *probe.Machine
}

// Times of the probes that ask nobody outside.
const (
	hotEvery, hotTimeout         = time.Second, 900 * time.Millisecond
	machineEvery, machineTimeout = 5 * time.Second, time.Second
)

func makeSights(d *watchDesk) sights {
	s := sights{desk: d, hot: &probe.Slot[sample.Proxy]{}, machine: &probe.Machine{}}
	s.probes = []probe.Probe{
		{Name: "proxy", Every: hotEvery, Timeout: hotTimeout, Withdraw: s.hot.Withdraw, Run: func(ctx context.Context) error {
			p, err := d.sight.read(ctx)
			if err == nil {
				s.hot.Set(p)
			}
			return err
		}},
		{Name: "machine", Every: machineEvery, Timeout: machineTimeout, Withdraw: s.machine.Withdraw, Run: s.machine.Look},
	}
	return s
}

func (s *sights) close() {}

// frame puts together what the probes have seen last.
func (s *sights) frame(at time.Time) *sample.Frame {
	return &sample.Frame{At: at, Proxy: s.hot.Get(at, probe.Stale(hotEvery, hotTimeout)), Machine: s.machine.Get(at, probe.Stale(machineEvery, machineTimeout)),
		Probes: s.desk.runner.Stats(at)}
}
