package node

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/config"
	"spillway/internal/proxy"
	"spillway/internal/web"
)

// seam is what a control room is joined with. Rooms do not import one another:
// what one needs of another it declares as an interface of its own, and its
// joiner fills that in from here.
type seam struct {
	*handle
	setup *Setup
	hot   *hotpath
	log   *slog.Logger
	build Build
	// note puts an event into the record: kind is dotted ("action.applied"), body a
	// value that encoding/json writes. It does not wait for a disk that hangs.
	// Until the record is joined it writes a log line.
	note func(ctx context.Context, kind string, body any) error
	// word carries findings and events from the rooms that make them to those that
	// act on them.
	word *word
	// verdict is what stands, in a sentence, and what was ruled out; set by the
	// joiner of the detectors, nil without.
	verdict func() (sentence string, ruledOut []string)
	// shown are the findings for the page; set with verdict.
	shown func() []web.Finding
	// overlay lays what stands of actions over every policy; set by its joiner.
	overlay func(*proxy.Policy) *proxy.Policy
	// actions is the console's way to actions; filled in by their joiner.
	actions *actionsLink
}

// joint is what a control room brings to the node.
type joint struct {
	services []service // started after the hot path, in order; stopped in reverse
	routes   []web.Route
	metrics  []prometheus.Collector
	// apply is told every setup that holds from now on; may be nil.
	apply func(c *config.Config)
}

// joiners make the control rooms, in the order in which they start. A joiner
// that fails keeps the node from starting: it is a mistake in the config. What
// can fail at run time (a disk, a peer) is a finding instead.
func joiners() []func(*seam) (joint, error) {
	return []func(*seam) (joint, error){
		joinRecord,
		joinSweep,
		joinJob,
		joinAct,
		joinNotify,
		joinWatch,
	}
}

// joinAll makes the control rooms.
func joinAll(s *seam) (joint, error) {
	var all joint
	var applies []func(*config.Config)
	for _, join := range joiners() {
		one, err := join(s)
		if err != nil {
			return joint{}, errors.Join(err, stopServices(all.services))
		}
		all.services = append(all.services, one.services...)
		all.routes = append(all.routes, one.routes...)
		all.metrics = append(all.metrics, one.metrics...)
		if one.apply != nil {
			applies = append(applies, one.apply)
		}
	}
	all.apply = func(c *config.Config) {
		for _, apply := range applies {
			apply(c)
		}
	}
	return all, nil
}

// stopServices ends what joiners made before another one failed.
func stopServices(made []service) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	var err error
	for i := len(made) - 1; i >= 0; i-- {
		if made[i].stop != nil {
			err = errors.Join(err, made[i].stop(ctx))
		}
	}
	return err
}
