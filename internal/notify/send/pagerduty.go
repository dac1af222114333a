package send

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"spillway/internal/notify/alarm"
)

// Bounds of PagerDuty's Events API v2, in bytes; it counts characters.
const (
	longestDedup   = 255
	longestPDTitle = 1024
)

type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"`
	DedupKey   string            `json:"dedup_key"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
	Client     string            `json:"client,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp string         `json:"timestamp"`
	Component string         `json:"component,omitempty"`
	Group     string         `json:"group,omitempty"`
	Class     string         `json:"class,omitempty"`
	Details   map[string]any `json:"custom_details,omitempty"`
}

func (s *Sender) pagerDuty(a alarm.Alarm) ([]byte, error) {
	e := pagerDutyEvent{RoutingKey: s.endpoint.Key, Action: "resolve", DedupKey: s.dedupKey(a.Key)}
	if a.Status == alarm.Firing {
		e.Action, e.Client = "trigger", "Spillway"
		e.Payload = &pagerDutyPayload{
			Summary: alarm.Clip(s.titled(a), longestPDTitle), Source: s.source(), Severity: severity(a.Level),
			Timestamp: a.Since.UTC().Format(time.RFC3339Nano),
			Component: a.Upstream, Group: a.Workload, Class: a.Detector,
			Details: map[string]any{"key": a.Key},
		}
		if len(a.Evidence) > 0 {
			e.Payload.Details["evidence"] = strings.Join(a.Evidence, "\n")
		}
		if a.Runbook != "" {
			e.Payload.Details["runbook"] = a.Runbook
		}
	}
	return json.Marshal(e)
}

// dedupKey is the trouble's key, of this node: another node's trouble of the
// same name is not over when ours is.
func (s *Sender) dedupKey(key string) string {
	whole := "spillway/" + s.source() + "/" + key
	if len(whole) <= longestDedup {
		return whole
	}
	sum := sha256.Sum256([]byte(whole))
	return "spillway/" + hex.EncodeToString(sum[:])
}

// source names this node.
func (s *Sender) source() string {
	switch {
	case s.endpoint.Node == "":
		return s.endpoint.Region
	case s.endpoint.Region == "":
		return s.endpoint.Node
	}
	return s.endpoint.Region + "/" + s.endpoint.Node
}

func (s *Sender) titled(a alarm.Alarm) string {
	if s.endpoint.Region == "" {
		return a.Summary
	}
	return s.endpoint.Region + ": " + a.Summary
}

// severity is a level in PagerDuty's and Prometheus' words.
func severity(l alarm.Level) string {
	switch l {
	case alarm.Page:
		return "critical"
	case alarm.Test:
		return "info"
	default:
		return "warning"
	}
}
