package send

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"spillway/internal/notify/alarm"
)

// longestSection is what Slack takes in one section, in characters; we count
// bytes after escaping.
const longestSection = 3000

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackMessage struct {
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
}

func (s *Sender) slack(a alarm.Alarm) ([]byte, error) {
	head := slackHead(a) + " " + escapeSlack(s.titled(a))
	m := slackMessage{Text: clipSlack(head, longestSection), Blocks: []slackBlock{section("*" + clipSlack(head, longestSection-2) + "*")}}
	if a.Status == alarm.Firing {
		if len(a.Evidence) > 0 {
			m.Blocks = append(m.Blocks, section(clipSlack(escapeSlack("• "+strings.Join(a.Evidence, "\n• ")), longestSection)))
		}
		if a.Runbook != "" {
			m.Blocks = append(m.Blocks, section(clipSlack(escapeSlack(a.Runbook), longestSection)))
		}
	}
	foot := fmt.Sprintf("%s · %s · since %s", s.source(), a.Key, a.Since.UTC().Format(time.DateTime+" MST"))
	if a.Status == alarm.Resolved && a.At.After(a.Since) {
		foot += fmt.Sprintf(", %s long", a.At.Sub(a.Since).Round(time.Second))
	}
	m.Blocks = append(m.Blocks, slackBlock{Type: "context", Elements: []slackText{{"mrkdwn", clipSlack(escapeSlack(foot), longestSection)}}})
	return json.Marshal(m)
}

// slackHead tells by shape and word, not by color alone.
func slackHead(a alarm.Alarm) string {
	switch {
	case a.Status == alarm.Resolved:
		return ":white_check_mark: CLEARED"
	case a.Level == alarm.Page:
		return ":rotating_light: PAGE"
	case a.Level == alarm.Test:
		return ":information_source: TEST"
	default:
		return ":warning: WARN"
	}
}

func section(text string) slackBlock {
	return slackBlock{Type: "section", Text: &slackText{"mrkdwn", text}}
}

// escapeSlack keeps a name from being a command: <!channel> would call everybody.
func escapeSlack(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// clipSlack cuts an escaped text, never within an entity.
func clipSlack(text string, size int) string {
	if len(text) <= size {
		return text
	}
	text = alarm.ClipLines(text, size)
	body := strings.TrimSuffix(text, "…")
	if i := strings.LastIndexByte(body, '&'); i >= 0 && !strings.Contains(body[i:], ";") {
		body = body[:i]
	}
	return body + "…"
}
