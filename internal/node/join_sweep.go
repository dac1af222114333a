package node

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"spillway/internal/config"
	"spillway/internal/sweep"
	"spillway/internal/sweep/run"
	"spillway/internal/web"
)

// joinSweep brings the sweeps: the schedule of the config, those that a person
// starts over the API, and those that another runner left behind.
func joinSweep(s *seam) (joint, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	desk := &sweepDesk{seam: s, config: func() *config.Config { return s.setup.config }}
	desk.crew = sweep.New(sweep.Config{
		Node:  fmt.Sprintf("%s/%s pid %d", s.setup.config.Region, host, os.Getpid()),
		Reach: desk.reach, Places: desk.places, Log: s.log.With("room", "sweep"),
		Note: func(kind string, body any) {
			if err := s.note(context.Background(), kind, body); err != nil {
				s.log.Warn("event not recorded", "kind", kind, "error", err)
			}
		},
		Grown: (&outgrown{word: s.word}).hear,
	})
	desk.keep(s.setup.config)
	return joint{
		services: []service{{"sweeps", func() error {
			desk.config = func() *config.Config { return s.node.setupNow().config }
			return desk.crew.Start()
		}, desk.crew.Stop}},
		routes:  desk.routes(),
		metrics: sweepMetrics(desk.crew),
		apply:   desk.keep,
	}, nil
}

// sweepDesk answers the API about sweeps.
type sweepDesk struct {
	*seam
	crew   *sweep.Crew
	config func() *config.Config // what holds now; set before anything runs
}

// reach finds a server of the config and how to log in to it.
func (d *sweepDesk) reach(p sweep.Place) (sweep.Place, sweep.Access, error) {
	c := d.config()
	names := slices.Sorted(maps.Keys(c.Servers))
	if p.Server == "" && len(names) == 1 {
		p.Server = names[0]
	}
	up := c.Policy().Upstreams[p.Server]
	if up == nil {
		return p, sweep.Access{}, web.Refuse(http.StatusBadRequest, fmt.Sprintf("there is no server %q", p.Server), fmt.Sprintf("Servers are %v.", names))
	}
	login, err := maintenance(up, p.Database)
	if err != nil {
		return p, sweep.Access{}, err
	}
	p.Database = login.Database
	return p, sweep.Access{Config: login, Traffic: &sight{hot: d.hot, upstream: p.Server}}, nil
}

// places are the databases in which sweeps are looked for.
func (d *sweepDesk) places() []sweep.Place {
	c := d.config()
	var places []sweep.Place
	for _, s := range c.Sweeps {
		places = append(places, sweep.Place{Server: s.Server, Database: s.Database})
	}
	for name := range c.Servers {
		places = append(places, sweep.Place{Server: name})
	}
	return places
}

// keep takes the schedule of a config.
func (d *sweepDesk) keep(c *config.Config) {
	var orders []sweep.Timed
	for name, s := range c.Sweeps {
		if s.When() == nil {
			continue
		}
		orders = append(orders, sweep.Timed{Order: orderOf(name, s), Schedule: s.When()})
	}
	d.crew.Keep(orders)
}

func orderOf(name string, s *config.Sweep) sweep.Order {
	o := sweep.Order{Place: sweep.Place{Server: s.Server, Database: s.Database}, Name: name}
	o.Table, o.Where, o.Strategy, o.KeepIn = s.Table, s.Where, sweep.Strategy(s.Strategy), s.KeepIn
	o.Options = run.Options{Rate: s.Rate, Share: float64(s.Share) / 100, Window: s.Window, Zone: s.TimeZone, Deadline: s.Deadline}
	return o
}

// sweepRef is the body of pause, resume and cancel.
type sweepRef struct {
	sweep.Place
	Sweep string `json:"sweep"` // number or table
}

// planWait is how long a plan may take: several statements of up to 5 s each.
const planWait = time.Minute

func (d *sweepDesk) routes() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "sweeps", Answer: func(ctx context.Context, _ *web.Ask) (any, error) {
			return map[string]any{"at": time.Now(), "items": d.crew.List(ctx)}, nil
		}},
		{Method: http.MethodGet, Path: "sweeps/live", Answer: func(context.Context, *web.Ask) (any, error) {
			return map[string]any{"at": time.Now(), "items": d.crew.Live()}, nil
		}},
		{Method: http.MethodGet, Path: "sweeps/growth", Answer: func(ctx context.Context, _ *web.Ask) (any, error) {
			return map[string]any{"at": time.Now(), "items": d.crew.Growth(ctx)}, nil
		}},
		{Method: http.MethodPost, Path: "sweeps/plan", Role: web.Operator, Wait: planWait, Answer: func(ctx context.Context, a *web.Ask) (any, error) {
			o, err := d.order(a)
			if err != nil {
				return nil, err
			}
			return d.crew.Plan(ctx, o)
		}},
		{Method: http.MethodPost, Path: "sweeps/run", Role: web.Admin, Wait: planWait, Answer: func(ctx context.Context, a *web.Ask) (any, error) {
			o, err := d.order(a)
			if err != nil {
				return nil, err
			}
			return d.crew.Launch(ctx, o)
		}},
		d.verb("pause", func(ctx context.Context, r sweepRef) (any, error) {
			return d.crew.Ask(ctx, r.Place, r.Sweep, run.WantPause)
		}),
		d.verb("cancel", func(ctx context.Context, r sweepRef) (any, error) {
			return d.crew.Ask(ctx, r.Place, r.Sweep, run.WantCancel)
		}),
		d.verb("resume", func(ctx context.Context, r sweepRef) (any, error) { return d.crew.Resume(ctx, r.Place, r.Sweep) }),
	}
}

// verb is a route that does something to one sweep, and notes who asked.
func (d *sweepDesk) verb(name string, do func(context.Context, sweepRef) (any, error)) web.Route {
	return web.Route{Method: http.MethodPost, Path: "sweeps/" + name, Role: web.Operator, Answer: func(ctx context.Context, a *web.Ask) (any, error) {
		var ref sweepRef
		if err := a.Decode(&ref); err != nil {
			return nil, err
		}
		s, err := do(ctx, ref)
		if err == nil {
			err = d.note(ctx, "sweep.asked", map[string]any{"ask": name, "sweep": ref.Sweep, "who": a.Caller.Who})
		}
		return s, err
	}}
}

// order reads an order. A name stands for the sweep of the config.
func (d *sweepDesk) order(a *web.Ask) (sweep.Order, error) {
	var o sweep.Order
	if err := a.Decode(&o); err != nil {
		return o, err
	}
	if o.Name != "" {
		s := d.config().Sweeps[o.Name]
		if s == nil {
			return o, web.Refuse(http.StatusBadRequest, fmt.Sprintf("there is no sweep %q in the config", o.Name), "")
		}
		return orderOf(o.Name, s), nil
	}
	return o, nil
}
