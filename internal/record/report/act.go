package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"spillway/internal/record/event"
)

// acted is what the events of actions say of themselves; what they do not say is
// left out.
type acted struct {
	ID    string `json:"id"`
	Order struct {
		Kind     string `json:"kind"`
		Workload string `json:"workload"`
		Reason   string `json:"reason"`
		DryRun   bool   `json:"dry_run"`
	} `json:"order"`
	Subject  string          `json:"subject"`
	Targets  int             `json:"targets"`
	State    string          `json:"state"`
	Outcomes map[string]int  `json:"outcomes"`
	Observed map[string]any  `json:"observed"`
	Error    string          `json:"error"`
	Output   string          `json:"output"`
	Until    json.RawMessage `json:"until"`
}

// actedWords says what an action's event is; "" when it does not look like one.
func actedWords(e *event.Event) string {
	var a acted
	if e.Read(&a) != nil || a.Order.Kind == "" {
		return ""
	}
	_, verb, _ := strings.Cut(e.Kind, ".")
	words := []string{strings.TrimSpace(fmt.Sprintf("%s %s: %s", a.Order.Kind, strings.TrimSpace(nonEmpty(a.Subject, a.Order.Workload)), verb))}
	if a.Targets > 0 {
		words = append(words, fmt.Sprintf("%d targets", a.Targets))
	}
	words = append(words, counted(a.Outcomes)...)
	if a.Error != "" {
		words = append(words, "error: "+a.Error)
	}
	if a.Order.Reason != "" {
		words = append(words, "because "+a.Order.Reason)
	}
	if until := strings.Trim(string(a.Until), `"`); len(until) > 18 {
		words = append(words, "until "+until[11:19])
	}
	if len(a.Observed) > 0 {
		words = append(words, "observed "+observed(a.Observed))
	}
	if a.ID != "" {
		words = append(words, "id "+a.ID)
	}
	return short(strings.Join(words, ", "))
}

func nonEmpty(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func counted(counts map[string]int) []string {
	var parts []string
	for name, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, name))
	}
	slices.Sort(parts)
	return parts
}

func observed(facts map[string]any) string {
	var parts []string
	for name, value := range facts {
		parts = append(parts, fmt.Sprintf("%s=%v", name, value))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}
