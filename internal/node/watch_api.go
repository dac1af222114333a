package node

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"spillway/internal/detect"
	"spillway/internal/web"
)

// The JSON of findings and verdict: the names clients depend on.

type findingView struct {
	Key         string    `json:"key"`
	Detector    string    `json:"detector"`
	Level       string    `json:"level"`
	Upstream    string    `json:"upstream,omitempty"`
	Workload    string    `json:"workload,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	Summary     string    `json:"summary"`
	Evidence    []string  `json:"evidence"`
	Runbook     string    `json:"runbook,omitempty"`
	Since       time.Time `json:"since"`
	At          time.Time `json:"at"`
}

type verdictView struct {
	At       time.Time     `json:"at"`
	Region   string        `json:"region"`
	Level    string        `json:"level"` // ok, warn, page
	Healthy  bool          `json:"healthy"`
	Sentence string        `json:"sentence"`
	Hosts    []hostView    `json:"hosts"`
	Findings []findingView `json:"findings"`
	RuledOut []string      `json:"ruled_out"`
	Unknown  []string      `json:"unknown"`
	Changes  []changeView  `json:"changes"`
	Probes   []probeView   `json:"probes"`
	Budgets  []budgetView  `json:"budgets"`
}

type hostView struct {
	Name       string        `json:"name"`
	State      string        `json:"state"`
	Held       int           `json:"held"`
	Usable     int           `json:"usable"`
	FullSince  *time.Time    `json:"full_since,omitempty"`
	Waiting    int           `json:"waiting"`
	OldestWait float64       `json:"oldest_wait_seconds"`
	Holders    []groupView   `json:"holders"`
	Forecast   *forecastView `json:"forecast,omitempty"`
}

type groupView struct {
	Name        string    `json:"name"`
	Workload    string    `json:"workload,omitempty"`
	Application string    `json:"application_name,omitempty"`
	Owner       string    `json:"owner,omitempty"`
	Users       []string  `json:"users"`
	Addresses   []string  `json:"addresses"`
	Held        int       `json:"held"`
	Idle        int       `json:"idle_in_transaction"`
	Share       float64   `json:"share_ratio"`
	OldestAt    time.Time `json:"oldest_at"`
	SQL         string    `json:"sql,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"`
}

type forecastView struct {
	Full      float64 `json:"full_in_seconds"`
	PerMinute float64 `json:"slots_per_minute"`
	Workload  string  `json:"workload,omitempty"`
	App       string  `json:"application_name,omitempty"`
	Formula   string  `json:"formula"`
}

type changeView struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

type probeView struct {
	Name   string     `json:"name"`
	Up     bool       `json:"up"`
	GoodAt *time.Time `json:"good_at,omitempty"`
	Failed int        `json:"failed_in_a_row,omitempty"`
	Error  string     `json:"error,omitempty"`
	Took   float64    `json:"took_seconds"`
}

type budgetView struct {
	Name   string             `json:"name"`
	Target float64            `json:"target"`
	Window string             `json:"window"`
	All    float64            `json:"transactions"`
	Bad    float64            `json:"bad"`
	Used   float64            `json:"budget_used_ratio"`
	Seen   float64            `json:"seen_seconds"`
	Burn   map[string]float64 `json:"burn_rate"`
}

func (d *watchDesk) routes() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "findings", Answer: func(context.Context, *web.Ask) (any, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return map[string]any{"at": time.Now(), "items": findingViews(d.findings())}, nil
		}},
		{Method: http.MethodGet, Path: "flight", Answer: d.flight},
		{Method: http.MethodGet, Path: "postgres", Answer: d.postgresView},
		{Method: http.MethodGet, Path: "verdict", Answer: func(context.Context, *web.Ask) (any, error) { return d.verdictView(), nil }},
	}
}

func (d *watchDesk) verdictView() verdictView {
	v := d.judged()
	view := verdictView{At: v.At, Region: v.Region, Level: "ok", Healthy: v.Level == detect.None && !v.At.IsZero(), Sentence: v.Sentence,
		Hosts: []hostView{}, Findings: findingViews(v.Findings), RuledOut: orNone(v.RuledOut), Unknown: orNone(v.Unknown), Changes: []changeView{},
		Probes: []probeView{}, Budgets: []budgetView{}}
	if v.Level != detect.None {
		view.Level = v.Level.String()
	}
	for i := range v.Hosts {
		view.Hosts = append(view.Hosts, hostViewOf(&v.Hosts[i]))
	}
	for _, c := range v.Changes {
		view.Changes = append(view.Changes, changeView(c))
	}
	for _, p := range d.probeStats() {
		one := probeView{Name: p.Name, Up: p.Up, Failed: p.Failed, Error: p.Error, Took: p.Took.Seconds()}
		if !p.GoodAt.IsZero() {
			one.GoodAt = &p.GoodAt
		}
		view.Probes = append(view.Probes, one)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.engine.Budgets() {
		view.Budgets = append(view.Budgets, budgetView{Name: b.Objective.Name, Target: b.Objective.Target, Window: b.Objective.Window.String(),
			All: b.All, Bad: b.Bad, Used: b.Used, Seen: b.Seen.Seconds(), Burn: b.Burns})
	}
	return view
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func findingViews(list []detect.Finding) []findingView {
	views := make([]findingView, 0, len(list))
	for _, f := range list {
		views = append(views, findingView{f.Key, f.Detector, f.Level.String(), f.Upstream, f.Workload, f.Fingerprint, f.Summary, orNone(f.Evidence), f.Runbook, f.Since, f.At})
	}
	return views
}

func hostViewOf(h *detect.HostVerdict) hostView {
	v := hostView{Name: h.Name, State: h.State, Held: h.Busy, Usable: h.Usable, Waiting: h.Waiting, OldestWait: h.OldestWait.Seconds(), Holders: []groupView{}}
	if !h.FullSince.IsZero() {
		v.FullSince = &h.FullSince
	}
	for _, g := range h.Groups {
		one := groupView{Name: g.Name(), Workload: g.Workload, Application: g.Application, Owner: g.Owner, Users: orNone(g.Users), Addresses: orNone(g.Addresses),
			Held: g.Holders, Idle: g.Idle, Share: g.Share, OldestAt: g.OldestAt, SQL: g.SQL}
		if g.Fingerprint != 0 {
			one.Fingerprint = fmt.Sprintf("%016x", g.Fingerprint)
		}
		v.Holders = append(v.Holders, one)
	}
	if f := h.Forecast; f != nil {
		v.Forecast = &forecastView{Full: f.Full.Seconds(), PerMinute: f.PerMinute, Workload: f.Workload, App: f.Application,
			Formula: fmt.Sprintf("(%d usable − %d held) ÷ %.2f slots a minute, the smaller of the slopes over 1 min (%.2f) and 5 min (%.2f)", h.Usable, h.Busy, f.PerMinute, f.Short, f.Long)}
	}
	return v
}
