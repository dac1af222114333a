package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"spillway/internal/drill/gauge"
	"spillway/internal/drill/load"
	"spillway/internal/drill/outcome"
	"spillway/internal/drill/rig"
	"spillway/internal/node/remote"
)

// operatorRole is the role of the person with psql.
const operatorRole = "oncall"

// apiRole is the role of the API.
const apiRole = "api"

// operatorAsks names the application with most connections, that is what an
// operator looks for first.
const operatorAsks = "SELECT coalesce(nullif(application_name, ''), usename), count(*) FROM pg_stat_activity " +
	"WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() GROUP BY 1 ORDER BY 2 DESC LIMIT 1"

// Tick is the state of the side that runs.
type Tick struct {
	gauge.Live
	Side string
}

// crew are the goroutines of a side; the first error ends all.
type crew struct {
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup
	once sync.Once
	err  error
}

func newCrew(ctx context.Context) *crew {
	c := new(crew)
	c.ctx, c.stop = context.WithCancel(ctx)
	return c
}

func (c *crew) run(what string, work func(context.Context) error) {
	c.all.Go(func() {
		if err := work(c.ctx); err != nil {
			c.once.Do(func() { c.err = fmt.Errorf("%s: %w", what, err) })
			c.stop()
		}
	})
}

// end stops all, waits, and returns the first error.
func (c *crew) end() error {
	c.stop()
	c.all.Wait()
	return c.err
}

// side runs one side from its servers' start to their end.
func (r *running) side(ctx context.Context, name string) (outcome.Side, error) {
	s, err := r.open(ctx, name)
	if err != nil {
		return outcome.Side{}, err
	}
	if err := r.perform(ctx, name, s); err != nil {
		return outcome.Side{}, err
	}
	side := s.Gauge.Side(name, s.Window)
	side.Services = s.services.reports()
	if s.Play.Close != nil {
		if err := s.Play.Close(ctx, s, &side.Figures); err != nil {
			return side, err
		}
	}
	f := &side.Figures
	f.Crowd, f.Served, f.AllServed = s.figures.Crowd, s.figures.Served, s.figures.AllServed
	r.judge(s, &side)
	if s.Guarded() {
		side.Config = s.Guard.Text
		side.Postmortem = s.postmortem(ctx)
		err = s.Guard.Close()
	}
	return side, errors.Join(err, s.Server.Stop())
}

// open starts the side's servers.
func (r *running) open(ctx context.Context, name string) (*Scene, error) {
	r.options.Watch.Phase(Phase{Side: name, What: "starting"})
	// Servers talk before there is a clock: what they say then is not needed.
	var begun atomic.Pointer[gauge.Gauge]
	server, err := r.rig.Copy(r.base, func(line string) {
		if g := begun.Load(); g != nil {
			g.ServerLine(line)
		}
	})
	if err != nil {
		return nil, err
	}
	s := &Scene{Rig: r.rig, Server: server, Login: r.rig.Login(server.Port), Play: r.play, Tools: r.tools}
	if name != "bare" {
		if err := r.guard(ctx, s, func(line string) {
			if g := begun.Load(); g != nil {
				g.Line(r.drill.Cause, line)
			}
		}); err != nil {
			return nil, err
		}
	}
	s.Gauge = gauge.New()
	begun.Store(s.Gauge)
	return s, nil
}

// guard puts Spillway before the side's server.
func (r *running) guard(ctx context.Context, s *Scene, lines func(string)) (err error) {
	roles := []string{apiRole}
	for role := range r.play.Setup.Roles {
		if probe, _ := rig.ProbeRole(); role != probe && role != apiRole && role != operatorRole {
			roles = append(roles, role)
		}
	}
	s.Guard, err = r.rig.Guard(ctx, s.Server, rig.Guard{
		Binary: r.tools.Spillway, Roles: roles, Operators: []string{operatorRole}, Fragment: r.play.Fragment,
		Lines: lines,
	})
	if err != nil {
		return err
	}
	s.Login, s.Node = r.rig.Login(s.Guard.Port), remote.New(s.Guard.Socket)
	return nil
}

// countEvery is how often connections are counted.
const countEvery = 250 * time.Millisecond

// operatorEvery is how often the operator tries to get in; a try may take as
// long as operatorLimit.
const (
	operatorEvery = 2 * time.Second
	operatorLimit = 4 * time.Second
)

// perform puts the load on, strikes, and waits for the end.
func (r *running) perform(ctx context.Context, name string, s *Scene) error {
	c := newCrew(ctx)
	g, p := s.Gauge, r.play
	c.run("count connections", func(ctx context.Context) error {
		return each(ctx, countEvery, func() {
			g.Count(s.Server.PID())
			r.options.Watch.Tick(Tick{g.Live(), name})
		})
	})
	operator := load.Operator{
		Psql: r.tools.Psql, Env: s.Login.Env(operatorRole, "psql"), SQL: operatorAsks,
		Every: span(r.options.Scale, operatorEvery, operatorEvery/8), Limit: operatorLimit,
	}
	if s.Guarded() {
		c.run("follow Spillway", func(ctx context.Context) error { return g.Follow(ctx, s.Node, r.drill.Cause) })
		c.run("operator's commands", func(ctx context.Context) error {
			return each(ctx, operator.Every, func() { s.nameByQueries(ctx, r.drill.Cause) })
		})
	}
	api := p.API
	api.URL, api.Name = s.Login.URL(apiRole), "web"
	c.run("API", func(ctx context.Context) error { return api.Run(ctx, g.Shot) })
	c.run("operator", func(ctx context.Context) error { return operator.Run(ctx, g.Look) })
	if p.Others != nil {
		c.run("other clients", func(ctx context.Context) error { return p.Others(ctx, s) })
	}
	r.phases(c, name, s)
	err := c.end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// phases lets time pass: steady state, fault, recovery.
func (r *running) phases(c *crew, name string, s *Scene) {
	p, g := r.play, s.Gauge
	phase := func(what string, last time.Duration) {
		g.Event("drill", "phase", what)
		r.options.Watch.Phase(Phase{name, what, last})
	}
	phase("steady state", p.Steady)
	if !rest(c.ctx, p.Steady) {
		return
	}
	phase("fault", p.Fault)
	s.Window = gauge.Window{FaultAt: g.Now(), Culprit: r.drill.Culprit, Restart: p.Restart}
	striking, over := context.WithTimeout(c.ctx, p.Fault)
	defer over()
	struck := make(chan struct{})
	c.run("fault", func(context.Context) error {
		defer close(struck)
		return p.Strike(striking, s)
	})
	if p.Respond != nil {
		c.run("response", func(ctx context.Context) error { return p.Respond(ctx, s) })
	}
	rest(c.ctx, p.Fault)
	s.Window.FaultEnd = g.Now()
	over()
	<-struck
	phase("recovery", p.After)
	rest(c.ctx, p.After)
	s.Window.End = g.Now()
	g.Event("drill", "end", "end of the drill")
}

// rest waits; false when ctx ends first.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// each calls do at once and then in turns until ctx ends.
func each(ctx context.Context, every time.Duration, do func()) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
