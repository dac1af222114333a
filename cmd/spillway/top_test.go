package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

const topVerdict = `{"at":"2026-11-21T03:12:00Z","region":"us-east-1","level":"page","healthy":false,
"sentence":"us-east-1 FULL 85/85 for 2 min · 12 waiting, oldest 41 s · 61 % held by celery (workload data-sync, owner @data) · leak: celery keeps 52 servers idle",
"hosts":[{"name":"main","state":"full","held":85,"usable":85,"waiting":12,"oldest_wait_seconds":41,
 "holders":[{"name":"celery (workload data-sync, owner @data)","held":52,"idle_in_transaction":52,"share_ratio":0.61,"oldest_at":"2026-11-21T03:02:00Z","sql":"select \u001b[2J from item"}]}],
"findings":[{"key":"leak/main/data-sync/celery","detector":"leak","level":"page","summary":"leak: celery keeps 52 servers idle","evidence":["52 of its 52 servers"],"since":"2026-11-21T03:02:00Z"}],
"ruled_out":["database main is up"],"unknown":[],"changes":[{"at":"2026-11-21T03:00:00Z","what":"job data-sync deployed"}]}`

func topPicture(t *testing.T) *picture {
	t.Helper()
	p := &picture{at: time.Date(2026, 11, 21, 3, 12, 0, 0, time.UTC)}
	if err := json.Unmarshal([]byte(topVerdict), &p.verdict); err != nil {
		t.Fatal(err)
	}
	p.workloads = []row{{"name": "data-sync", "upstream": "main", "class": "batch", "in_use": 52.0, "waiting": 4.0, "leaking": 52.0}}
	return p
}

func drawn(lines []screenLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

// TestTopFitsASmallTerminal: what matters stands first and everything is within
// 80×24; nothing that a client chose reaches the terminal as a command.
func TestTopFitsASmallTerminal(t *testing.T) {
	p := topPicture(t)
	lines := draw(p, canvas{width: 80, height: 24, now: p.at.Add(time.Second)})
	text := drawn(lines)
	t.Log("\n" + text)
	if len(lines) > 24 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if n := len([]rune(l.text)); n > 80 {
			t.Errorf("%d columns: %s", n, l.text)
		}
		if strings.Contains(l.text, "\x1b") {
			t.Errorf("a command for the terminal in %q", l.text)
		}
	}
	for _, part := range []string{"PAGE  03:12:01 UTC", "figures 1s old", "61 % held by celery", "[################]", "leak: celery keeps 52", "data-sync", "changed 12m00s ago: job data-sync deployed"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q", part)
		}
	}
}

func TestTopTinyAndStale(t *testing.T) {
	p := topPicture(t)
	for _, size := range []canvas{{width: 1, height: 1}, {width: 10, height: 3}, {width: 300, height: 5}} {
		size.now = p.at
		if n := len(draw(p, size)); n > size.height {
			t.Errorf("%d lines in %d", n, size.height)
		}
	}
	p.err = errors.New("no node listens")
	lines := draw(p, canvas{width: 80, height: 24, now: p.at.Add(time.Minute)})
	if text := drawn(lines); !strings.Contains(text, "no answer: no node listens") || !strings.Contains(text, "1m00s old") || lines[0].style != grey {
		t.Errorf("stale figures look fresh:\n%s", text)
	}
	if text := drawn(draw(&picture{err: errors.New("no node")}, canvas{width: 80, height: 24, now: p.at})); !strings.Contains(text, "NO ANSWER") {
		t.Errorf("%s", text)
	}
}

func TestWrap(t *testing.T) {
	if got := strings.Join(wrap("a bb ccc dddd", 6), "|"); got != "a bb|ccc|dddd" {
		t.Errorf("got %q", got)
	}
}
