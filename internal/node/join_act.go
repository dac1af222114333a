package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"spillway/internal/act"
	"spillway/internal/config"
	"spillway/internal/console"
	"spillway/internal/proxy"
	"spillway/internal/statement"
	"spillway/internal/web"
)

// joinAct brings actions: containment by people and by rules, with what stands
// of them laid over every policy.
func joinAct(s *seam) (joint, error) {
	desk := &actDesk{seam: s, lines: newLines(s), foreigners: map[string]*foreignGround{}}
	c := s.setup.config
	path := filepath.Join(c.DataDir, "actions.json")
	if err := socketFolder(path); err != nil {
		s.log.Warn("actions are not kept: pauses, limits and bans end with this process", "error", err)
		path = ""
	}
	desk.room = act.New(act.Config{
		Path: path, Rules: desk.rules, Ground: proxyGround{s, desk.lines}, Foreign: desk.foreign, Enforce: desk.enforce,
		Observe: desk.observe, Protected: protectedStatement, Note: s.note, Log: s.log.With("room", "act"),
	})
	s.overlay = desk.over
	s.actions.desk = desk
	s.word.onFinding(desk.heard)
	return joint{
		services: []service{{"connections of actions", desk.lines.start, desk.lines.stop}, {"actions", desk.room.Start, desk.room.Stop}},
		routes:   desk.routes(),
		metrics:  actMetrics(desk),
	}, nil
}

// actDesk answers API and console about actions.
type actDesk struct {
	*seam
	room  *act.Room
	lines *lines

	mu         sync.Mutex
	foreigners map[string]*foreignGround // guarded by mu; by server
}

var _ console.Actions = (*actionsLink)(nil)

// current is the config that holds now.
func (s *seam) current() *config.Config {
	if s.node == nil {
		return s.setup.config
	}
	return s.node.setupNow().config
}

// rules are the config's words for the room.
func (d *actDesk) rules() *act.Rules {
	c := d.current()
	r := &act.Rules{For: c.Actions.For, Longest: c.Actions.Longest, MaxTargets: c.Actions.MaxTargets, Commands: map[string]*act.Command{}}
	for _, w := range c.Policy().Workloads {
		r.Workloads = append(r.Workloads, w.Name)
	}
	for name, one := range c.Runbook {
		r.Commands[name] = &act.Command{Argv: one.Command, DryRun: one.DryRun, Timeout: one.Timeout, Role: act.Role(roleOf(one.Role))}
	}
	for name, one := range c.Automatic {
		r.Automatic = append(r.Automatic, act.Automatic{Name: name, Detector: one.Detector, Workload: one.Workload, Every: one.Every,
			Order: act.Order{Kind: act.Kind(one.Action), Max: one.Max, Limit: one.Limit, Queue: one.Queue, Cancel: one.Cancel,
				Command: one.Command, For: act.Duration(one.For), Select: act.Selection{OlderThan: act.Duration(one.OlderThan)}}})
	}
	return r
}

func roleOf(word string) web.Role {
	switch word {
	case "operator":
		return web.Operator
	case "admin":
		return web.Admin
	}
	return web.Viewer
}

// grantsOf are the tokens and peers of a config.
func grantsOf(c *config.Config, warn func(msg string, args ...any)) web.Grants {
	g := web.Grants{Peers: map[uint32]web.Caller{}}
	for name, t := range c.Tokens {
		one := web.Token{Name: name, Role: roleOf(t.Role), Scope: t.Scope, Until: t.Until()}
		for i := range one.Hash { // checked by config
			n, _ := strconv.ParseUint(t.Hash[2*i:2*i+2], 16, 8)
			one.Hash[i] = byte(n)
		}
		g.Tokens = append(g.Tokens, one)
	}
	for name, p := range c.Peers {
		id := name
		if found, err := user.Lookup(name); err == nil {
			id = found.Uid
		}
		uid, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			warn("no such user of this machine: nobody may use the admin socket under that name", "peer", name)
			continue
		}
		g.Peers[uint32(uid)] = web.Caller{Who: name, Role: roleOf(p.Role)}
	}
	return g
}

// enforce makes the policy in force anew from the config's and what stands.
func (d *actDesk) enforce() error {
	if d.node == nil {
		return nil // the first policy is not in force yet
	}
	return d.node.recompose()
}

// over lays what stands over a policy. The policy itself is not changed.
func (d *actDesk) over(p *proxy.Policy) *proxy.Policy { return overlay(p, d.room.Standing()) }

// protectedStatement: banning these would leave transactions open for ever.
func protectedStatement(fingerprint uint64) string {
	for _, text := range []string{"begin", "start transaction", "commit", "end", "rollback", "abort", "commit transaction", "rollback transaction", ""} {
		if statement.Print([]byte(text)) == fingerprint {
			return "it begins or ends transactions"
		}
	}
	return ""
}

// observe reads how the subject of an order fares.
func (d *actDesk) observe(ctx context.Context, o *act.Order) map[string]any {
	seen := map[string]any{}
	switch o.Kind {
	case act.Pause, act.Resume, act.Limit:
		list, err := d.hot.Workloads(ctx)
		if err != nil {
			return nil
		}
		inUse, waiting := 0, 0
		for _, w := range list {
			if w.Name == o.Workload {
				inUse, waiting = inUse+w.InUse, waiting+w.Waiting
				seen["pause"], seen["limit"] = w.Pause, w.Limit
			}
		}
		seen["in_use"], seen["waiting"] = inUse, waiting
	case act.Ban, act.Unban:
		running := 0
		list, err := proxyGround{d.seam, d.lines}.Holders(ctx)
		if err != nil {
			return nil
		}
		for _, h := range list {
			if h.Fingerprint == fmt.Sprintf("%016s", o.Fingerprint) && h.State == "active" {
				running++
			}
		}
		seen["running"] = running
	case act.Kill, act.Terminate:
		ground, err := act.Ground(proxyGround{d.seam, d.lines}), error(nil)
		if o.Kind == act.Terminate {
			ground, err = d.foreign(o.Server)
		}
		if err != nil {
			return nil
		}
		list, err := ground.Holders(ctx)
		if err != nil {
			return nil
		}
		left, _ := o.Select.Pick(list, time.Now())
		seen["selected"], seen["holders"] = len(left), len(list)
	default:
		return nil
	}
	return seen
}

// callerOf is who asks in the room's words.
func callerOf(c web.Caller) act.Caller {
	return act.Caller{Who: c.Who, Role: act.Role(c.Role), Scope: c.Scope}
}

// actWait is how long an action may take over the API: a runbook's command takes
// the longest.
const actWait = 11 * time.Minute

func (d *actDesk) routes() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "actions", Answer: func(context.Context, *web.Ask) (any, error) {
			return map[string]any{"at": time.Now(), "items": d.room.List()}, nil
		}},
		{Method: http.MethodGet, Path: "actions/{id}", Answer: func(_ context.Context, a *web.Ask) (any, error) {
			one, err := d.room.Get(a.Path("id"))
			return one, refused(err)
		}},
		{Method: http.MethodPost, Path: "actions", Role: web.Operator, OwnScope: true, Wait: actWait, Answer: d.act},
		{Method: http.MethodGet, Path: "holders", Answer: d.holders},
		{Method: http.MethodGet, Path: "queries", Answer: d.queries},
		{Method: http.MethodGet, Path: "bans", Answer: func(context.Context, *web.Ask) (any, error) {
			return map[string]any{"at": time.Now(), "items": bansView(d.hot.Bans())}, nil
		}},
	}
}

// act carries out an order.
func (d *actDesk) act(ctx context.Context, a *web.Ask) (any, error) {
	var o act.Order
	if err := a.Decode(&o); err != nil {
		return nil, err
	}
	if key := a.Header.Get("Idempotency-Key"); key != "" && o.Key == "" {
		o.Key = key
	}
	done, err := d.room.Do(ctx, callerOf(a.Caller), o)
	var refusal *act.Refusal
	if errors.As(err, &refusal) {
		return nil, refused(err)
	}
	return done, nil // what failed says so in its state
}

// refused gives a refusal of the room its HTTP status.
func refused(err error) error {
	var r *act.Refusal
	if !errors.As(err, &r) {
		return err
	}
	status := map[act.Why]int{act.Wrong: http.StatusBadRequest, act.Forbidden: http.StatusForbidden, act.Unknown: http.StatusNotFound,
		act.TooMany: http.StatusUnprocessableEntity, act.Conflict: http.StatusConflict}[r.Why]
	return web.Refuse(status, r.Text, r.Hint)
}

// holders are those who have a server. ?sql=1 shows statements as they were
// sent, which is for operators.
func (d *actDesk) holders(ctx context.Context, a *web.Ask) (any, error) {
	raw := a.Query.Get("sql") != ""
	if raw && a.Caller.Role < web.Operator {
		return nil, web.Refuse(http.StatusForbidden, "statements with their literals are for operators", "Leave sql out.")
	}
	at := time.Now()
	list, err := d.hot.Holders(ctx, raw)
	if err != nil {
		return nil, err
	}
	return map[string]any{"at": at, "items": holdersView(list)}, nil
}

func (d *actDesk) queries(ctx context.Context, _ *web.Ask) (any, error) {
	at := time.Now()
	list, err := d.hot.Holders(ctx, false)
	if err != nil {
		return nil, err
	}
	return map[string]any{"at": at, "items": queriesView(proxy.Queries(list))}, nil
}
