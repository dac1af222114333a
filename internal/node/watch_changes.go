package node

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"spillway/internal/detect"
)

// maxChanges bounds what is remembered of what was done lately.
const maxChanges = 50

// changed remembers a change; the caller holds mu.
func (d *watchDesk) changed(at time.Time, what string) {
	if len(d.changes) >= maxChanges {
		d.changes = d.changes[1:]
	}
	d.changes = append(d.changes, detect.Change{At: at, What: what})
}

// overheard keeps those events that change something.
func (d *watchDesk) overheard(e event) {
	what, changes := changeText(e)
	if !changes {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed(e.At, what)
}

// changeText says in words what an event changed; false for those that change
// nothing that a finding could come from.
func changeText(e event) (string, bool) {
	switch {
	case e.Kind == "action.applied", e.Kind == "action.expired", e.Kind == "action.undone":
	case e.Kind == "sweep.started", e.Kind == "job.started", strings.HasPrefix(e.Kind, "change."):
	default:
		return "", false
	}
	// Bodies are other rooms' types: their JSON is what they promise.
	text, err := json.Marshal(e.Body)
	var body struct {
		Order struct {
			Kind     string `json:"kind"`
			Workload string `json:"workload"`
			Reason   string `json:"reason"`
		} `json:"order"`
		Subject string `json:"subject"`
		Who     string `json:"who"`
		Name    string `json:"name"`
		Job     string `json:"job"`
		Table   string `json:"table"`
		Text    string `json:"text"`
	}
	if err != nil || json.Unmarshal(text, &body) != nil {
		return e.Kind, true
	}
	if strings.HasPrefix(e.Kind, "change.") && body.Text != "" {
		return body.Text, true
	}
	what := e.Kind
	if body.Order.Kind != "" {
		_, verb, _ := strings.Cut(e.Kind, ".")
		what = fmt.Sprintf("%s %s", body.Order.Kind, verb)
	}
	for _, more := range []string{body.Subject, body.Name, body.Job, body.Table, body.Text} {
		if more != "" {
			what += " " + more
		}
	}
	if body.Who != "" {
		what += " by " + body.Who
	}
	if body.Order.Reason != "" {
		what += " (" + body.Order.Reason + ")"
	}
	return what, true
}
