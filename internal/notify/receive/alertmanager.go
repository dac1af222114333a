package receive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"spillway/internal/notify/alarm"
	"spillway/internal/notify/send"
)

// webhookV4 is the part of Alertmanager's webhook that is used; fields that
// later versions add are passed over.
type webhookV4 struct {
	Version string    `json:"version"`
	Alerts  []v4Alert `json:"alerts"`
}

type v4Alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Fingerprint string            `json:"fingerprint"`
}

// mostAlerts of one message are taken.
const mostAlerts = 200

func (r *Receiver) alertmanager(s Source, body []byte) (Taken, error) {
	var m webhookV4
	if err := json.Unmarshal(body, &m); err != nil {
		return Taken{}, refuse(http.StatusBadRequest, "the body is no webhook of Alertmanager: it is not JSON of its form")
	}
	if m.Version != "4" {
		return Taken{}, refuse(http.StatusBadRequest, "the body is no webhook of Alertmanager of version 4")
	}
	if len(m.Alerts) > mostAlerts {
		r.config.Log.Warn("alarms left out: a message holds too many", "source", s.Name, "alarms", len(m.Alerts), "taken", mostAlerts,
			"mend", "set max_alerts in the receiver of Alertmanager")
		m.Alerts = m.Alerts[:mostAlerts]
	}
	for i := range m.Alerts {
		if status := m.Alerts[i].Status; status != "firing" && status != "resolved" {
			return Taken{}, refuse(http.StatusBadRequest, "alert %d is neither firing nor resolved", i)
		}
	}
	var t Taken
	for i := range m.Alerts {
		r.takeAlert(s, &m.Alerts[i], &t)
	}
	return t, nil
}

func (r *Receiver) takeAlert(s Source, v *v4Alert, t *Taken) {
	if v.Labels["generator"] == send.Generator {
		return // our own, on its way back
	}
	key := v.Fingerprint
	if !shortWord(key) {
		key = labelSum(v.Labels)
	}
	a := alarm.Alarm{Key: key, Status: alarm.Status(v.Status), Level: levelOf(v.Labels["severity"]), Since: v.StartsAt, At: time.Now(), Runbook: v.Annotations["runbook_url"]}
	if a.Status == alarm.Resolved && !v.EndsAt.IsZero() && v.EndsAt.Before(a.At) {
		a.At = v.EndsAt
	}
	a.Summary = v.Labels["alertname"]
	for _, name := range []string{"summary", "title", "message", "description"} {
		if text := v.Annotations[name]; text != "" {
			a.Summary += ": " + text
			break
		}
	}
	if a.Summary == "" {
		a.Summary = "an alert without a name"
	}
	for _, name := range slices.Sorted(maps.Keys(v.Labels)) {
		a.Evidence = append(a.Evidence, name+"="+v.Labels[name])
	}
	r.found(s, strings.Join([]string{key, v.StartsAt.UTC().Format(time.RFC3339Nano), v.Status}, "\x00"), a, t)
}

// levelOf reads the words that are used for a page; others say nothing.
func levelOf(severity string) alarm.Level {
	switch strings.ToLower(severity) {
	case "critical", "page", "emergency", "fatal":
		return alarm.Page
	case "warning", "warn", "error", "info", "none":
		return alarm.Warn
	}
	return ""
}

// shortWord reports whether a key can be taken as it is.
func shortWord(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return text != "" && len(text) <= 128
}

func labelSum(labels map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		_, _ = h.Write([]byte(name + "\x00" + labels[name] + "\x00")) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
