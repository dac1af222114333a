package notify

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"spillway/internal/notify/alarm"
)

// Channel is one way of telling people: one or several endpoints that all get
// the same, and which alarms they get.
type Channel struct {
	Name      string
	Kind      string // as shown
	Levels    []alarm.Level
	Workloads []string // globs; empty = all, and alarms of no workload
	Detectors []string // globs; empty = all
	Foreign   bool     // alarms of other monitors too
	Timeout   time.Duration
	Repeat    time.Duration // 0 = told once
	Gap       time.Duration // least time between two requests
	Endpoints []Endpoint
}

// Sender puts one alarm to one endpoint. It ends with its context at the latest.
type Sender interface {
	Send(ctx context.Context, a alarm.Alarm) error
}

// Endpoint is one address of a channel.
type Endpoint struct {
	Host   string // no secret
	Print  string // differs when the address or its secrets do; no secret
	Sender Sender
}

// wants says whether the channel is for alarms like this. A channel is not told
// of its own failing: that goes to the others.
func (c *Channel) wants(a alarm.Alarm) bool {
	if a.Foreign && !c.Foreign || a.Key == troubleKey(c.Name) {
		return false
	}
	return slices.Contains(c.Levels, a.Level) && matches(c.Workloads, a.Workload) && matches(c.Detectors, a.Detector)
}

func matches(globs []string, name string) bool {
	if len(globs) == 0 {
		return true
	}
	return slices.ContainsFunc(globs, func(glob string) bool {
		// The config has checked the pattern.
		ok, err := path.Match(glob, name)
		return err == nil && ok
	})
}

// troubleKey is the key under which a channel's failing is reported.
func troubleKey(channel string) string { return "notify/" + channel }

// laneName names an endpoint's queue on disk and in metrics.
func (c *Channel) laneName(i int) string {
	if len(c.Endpoints) == 1 {
		return c.Name
	}
	return fmt.Sprintf("%s %s", c.Name, c.Endpoints[i].Host)
}
