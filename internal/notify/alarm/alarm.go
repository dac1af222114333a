package alarm

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Status is whether a trouble is there.
type Status string

// Statuses.
const (
	Firing   Status = "firing"
	Resolved Status = "resolved"
)

// Level is how urgent a trouble is.
type Level string

// Levels. Test is that of test messages: it goes to whom it is addressed to.
const (
	Warn Level = "warn"
	Page Level = "page"
	Test Level = "test"
)

// Rank orders levels; a higher one is more urgent.
func (l Level) Rank() int {
	switch l {
	case Page:
		return 2
	case Warn:
		return 1
	default:
		return 0
	}
}

// Alarm is one trouble as it stands. Its JSON is the body of webhooks, out and
// in, and what queues keep on disk: fields are only added.
type Alarm struct {
	Key      string    `json:"key"` // the same for the same trouble of the same thing
	Status   Status    `json:"status"`
	Level    Level     `json:"level"`
	Summary  string    `json:"summary"`            // one sentence
	Detector string    `json:"detector,omitempty"` // what found it
	Upstream string    `json:"upstream,omitempty"` // the PostgreSQL it is about
	Workload string    `json:"workload,omitempty"`
	Evidence []string  `json:"evidence,omitempty"` // what it rests on, a line each
	Runbook  string    `json:"runbook,omitempty"`  // what to do
	Since    time.Time `json:"since"`              // when it began
	At       time.Time `json:"at"`                 // when it was last seen, or when it was gone
	Foreign  bool      `json:"foreign,omitempty"`  // told to us by another monitor
}

// Bounds on an alarm's texts, in bytes. 200 lines of evidence would not be read;
// PagerDuty takes 512 KiB in all, which these stay far below.
const (
	longestKey     = 512
	longestName    = 256
	longestSummary = 2048
	longestLine    = 1024
	longestRunbook = 4096
	mostEvidence   = 40
)

// Bounded is the alarm with its texts cut to what queues and endpoints take, and
// free of control characters and of what is no UTF-8.
func (a Alarm) Bounded() Alarm {
	a.Key = Clip(a.Key, longestKey)
	a.Summary = Clip(a.Summary, longestSummary)
	a.Detector, a.Upstream, a.Workload = Clip(a.Detector, longestName), Clip(a.Upstream, longestName), Clip(a.Workload, longestName)
	a.Runbook = ClipLines(a.Runbook, longestRunbook)
	kept := make([]string, 0, min(len(a.Evidence), mostEvidence))
	for _, line := range a.Evidence {
		if len(kept) == mostEvidence {
			break
		}
		kept = append(kept, Clip(line, longestLine))
	}
	a.Evidence = kept
	if a.Level != Page && a.Level != Test {
		a.Level = Warn
	}
	return a
}

// Clip cuts text to at most size bytes at the end of a letter, an ellipsis
// included, and makes spaces of control characters.
func Clip(text string, size int) string {
	return cut(printable(text, false), size)
}

// ClipLines is Clip for a text of several lines.
func ClipLines(text string, size int) string {
	return cut(printable(text, true), size)
}

func cut(text string, size int) string {
	const dots = "…"
	if len(text) <= size {
		return text
	}
	end := size - len(dots)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:max(end, 0)] + dots
}

func printable(text string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lines:
			return r
		case r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0:
			return ' '
		// Marks that turn the direction of what follows: a name must not rewrite a message.
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
