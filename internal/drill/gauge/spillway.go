package gauge

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"spillway/internal/node/remote"
)

// Cause is what has to be named: a finding or a log line that has one of the
// words names it.
type Cause struct{ Words []string }

// In tells whether a text names the cause.
func (c Cause) In(text string) bool {
	text = strings.ToLower(text)
	for _, word := range c.Words {
		if strings.Contains(text, strings.ToLower(word)) {
			return true
		}
	}
	return false
}

// Line reads a line of Spillway's log: a leak it names, a slot it takes back.
func (g *Gauge) Line(c Cause, line string) {
	var l struct {
		Msg, Workload, Application, Idle, SQL string
		OnLeak                                string `json:"on_leak"`
	}
	if json.Unmarshal([]byte(line), &l) != nil || !strings.HasPrefix(l.Msg, "leak:") {
		return
	}
	who := fmt.Sprintf("workload %s, application %s, keeps a server idle (%s after %q)", l.Workload, l.Application, l.Idle, l.SQL)
	if c.In(who) {
		g.Name("spillway", "leak: "+who)
	}
	if l.OnLeak == "reclaim" {
		g.Event("spillway", "action", "took back a server that "+l.Application+" kept idle for "+l.Idle)
	}
}

// askEvery is how often Spillway's API is read.
const askEvery = 250 * time.Millisecond

// Follow reads queues and findings over the API until ctx ends.
func (g *Gauge) Follow(ctx context.Context, node *remote.Client, c Cause) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	seen := map[string]bool{}
	for {
		g.queues(ctx, node)
		g.findings(ctx, node, c, seen)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (g *Gauge) queues(ctx context.Context, node *remote.Client) {
	facts, err := node.Facts(ctx, "workloads")
	if err != nil {
		return // the next time will tell
	}
	var rows []struct{ Waiting int }
	if json.Unmarshal(facts.Items, &rows) != nil {
		return
	}
	all := 0
	for _, r := range rows {
		all += r.Waiting
	}
	g.Waiting(all)
}

// finding is what the detectors say.
type finding struct {
	Key, Detector, Level, Workload, Summary string
	Cleared                                 bool
}

func (g *Gauge) findings(ctx context.Context, node *remote.Client, c Cause, seen map[string]bool) {
	facts, err := node.Facts(ctx, "findings")
	if err != nil {
		return // a node without detectors has none
	}
	var rows []finding
	if json.Unmarshal(facts.Items, &rows) != nil {
		return
	}
	for _, f := range rows {
		if f.Cleared || seen[f.Key] {
			continue
		}
		seen[f.Key] = true
		text := f.Summary
		if !strings.HasPrefix(text, f.Detector+":") {
			text = f.Detector + ": " + text
		}
		if c.In(f.Key + " " + f.Workload + " " + text) {
			g.Name("spillway", text)
		}
		g.Event("spillway", "finding", text)
	}
}
