package main

import (
	"fmt"
	"strings"
	"time"
)

// canvas is what a picture is drawn on.
type canvas struct {
	width, height int
	now           time.Time
	held          bool
}

// screenLine is one line of the screen; its style says nothing that its text does not.
type screenLine struct{ text, style string }

// Styles.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[1;31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	grey   = "\x1b[90m"
)

// staleAfter is from which age on figures are marked.
const staleAfter = 3 * time.Second

// draw makes the lines of a picture, no more than fit. The order is that in
// which somebody who was woken needs them.
func draw(p *picture, c canvas) []screenLine {
	d := &drawing{canvas: c}
	d.head(p)
	if p.at.IsZero() {
		return d.fit()
	}
	d.hosts(p.verdict.Hosts)
	d.findings(p.verdict.Findings, p.verdict.At)
	d.workloads(p.workloads)
	d.holders(p.verdict.Hosts, p.verdict.At)
	d.rest(&p.verdict)
	if age := c.now.Sub(p.at); age > staleAfter {
		for i := range d.lines {
			d.lines[i].style = grey
		}
	}
	return d.fit()
}

type drawing struct {
	canvas
	lines []screenLine
}

func (d *drawing) add(style, format string, args ...any) {
	d.lines = append(d.lines, screenLine{clip(plainText(fmt.Sprintf(format, args...)), d.width), style})
}

func (d *drawing) gap() { d.lines = append(d.lines, screenLine{}) }

// fit leaves out what has no room; the last line says so.
func (d *drawing) fit() []screenLine {
	if len(d.lines) <= d.height {
		return d.lines
	}
	lines := d.lines[:d.height]
	lines[d.height-1] = screenLine{clip(fmt.Sprintf("… %d more lines: make the window higher, or see spillway status", len(d.lines)-d.height+1), d.width), grey}
	return lines
}

func (d *drawing) head(p *picture) {
	state, style := strings.ToUpper(p.verdict.Level), bold
	switch p.verdict.Level {
	case "page":
		style = red
	case "warn":
		style = yellow
	case "ok":
		style = green
	}
	if p.at.IsZero() {
		state = "NO ANSWER"
	}
	left := fmt.Sprintf("%s  %s", state, d.now.UTC().Format("15:04:05 UTC"))
	if !p.at.IsZero() {
		left += fmt.Sprintf("  (%s local), figures %s old", d.now.Format("15:04:05"), short(max(d.now.Sub(p.at), 0).Round(100*time.Millisecond)))
	}
	if d.held {
		left += "  HELD, space goes on"
	}
	d.add(style, "%s", left)
	if p.err != nil {
		d.add(red, "%s", "no answer: "+p.err.Error())
	}
	for _, text := range wrap(plainText(p.verdict.Sentence), d.width) {
		d.add(bold, "%s", text)
	}
	d.gap()
}

// barWidth is the width of a bar of slots.
const barWidth = 16

func (d *drawing) hosts(hosts []hostState) {
	for _, h := range hosts {
		style := ""
		switch h.State {
		case "full", "down":
			style = red
		case "nearly full":
			style = yellow
		}
		text := fmt.Sprintf("%-14s %s %4d/%-4d %-11s waiting %d", cut(plainText(h.Name), 14), slotBar(h.Held, h.Usable), h.Held, h.Usable, h.State, h.Waiting)
		if h.Waiting > 0 {
			text += fmt.Sprintf(", oldest %s", seconds(h.OldestWait, d.now))
		}
		if h.Forecast != nil {
			text += fmt.Sprintf(", full in %s", short(time.Duration(h.Forecast.Full*float64(time.Second))))
		}
		d.add(style, "%s", text)
	}
	d.gap()
}

// slotBar shows a part of a whole in characters.
func slotBar(held, usable int) string {
	full := 0
	if usable > 0 {
		full = min(barWidth, (held*barWidth+usable-1)/usable)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// topFindings is how many findings have their evidence shown.
const topFindings = 3

func (d *drawing) findings(list []findingRow, at time.Time) {
	for i, f := range list {
		style := yellow
		if f.Level == "page" {
			style = red
		}
		d.add(style, "%-4s %-16s %7s  %s", strings.ToUpper(f.Level), f.Detector, short(at.Sub(f.Since)), f.Summary)
		if i < topFindings && len(f.Evidence) > 0 {
			d.add("", "     %s", f.Evidence[0])
		}
	}
	if len(list) > 0 {
		d.gap()
	}
}

func (d *drawing) workloads(rows []row) {
	if len(rows) == 0 {
		return
	}
	const format = "%-14s %-10s %-8s %5s %5s %6s %7s %7s %7s %7s %s"
	d.add(bold, format, "WORKLOAD", "UPSTREAM", "CLASS", "SHARE", "LIMIT", "IN USE", "WAITING", "OLDEST", "LEAKING", "CLIENTS", "PAUSED")
	for _, r := range rows {
		cell := func(path string, show func(any, time.Time) string) string { return column{"", path, show}.of(r, d.now) }
		style := ""
		if n, _ := r["leaking"].(float64); n > 0 {
			style = yellow
		}
		d.add(style, format, cut(cell("name", text), 14), cut(cell("upstream", text), 10), cell("class", text), cell("share", text), cell("limit", text),
			cell("in_use", text), cell("waiting", text), cell("oldest_wait_seconds", seconds), cell("leaking", text), cell("clients", text), cell("pause", text))
	}
	d.gap()
}

func (d *drawing) holders(hosts []hostState, at time.Time) {
	any := false
	for _, h := range hosts {
		for _, g := range h.Holders {
			if !any {
				any = true
				d.add(bold, "%4s %5s %4s %7s  %-36s %s", "HELD", "SHARE", "IDLE", "OLDEST", "HOLDER", "MOSTLY")
			}
			d.add("", "%4d %4.0f%% %4d %7s  %-36s %s", g.Held, g.Share*100, g.Idle, short(at.Sub(g.OldestAt)), cut(plainText(g.Name), 36), g.SQL)
		}
	}
	if any {
		d.gap()
	}
}

func (d *drawing) rest(v *verdict) {
	if len(v.RuledOut) > 0 {
		d.add("", "ruled out: %s", strings.Join(v.RuledOut, "; "))
	}
	if len(v.Unknown) > 0 {
		d.add(grey, "not known: %s", strings.Join(v.Unknown, "; "))
	}
	for _, c := range v.Changes[:min(len(v.Changes), 3)] {
		d.add("", "changed %s ago: %s", short(v.At.Sub(c.At)), c.What)
	}
}

// clip cuts a line to the width of the screen, cut to that of a column.
func clip(text string, width int) string { return cut(text, max(width, 1)) }

func cut(text string, width int) string {
	r := []rune(text)
	if len(r) <= width {
		return text
	}
	return string(r[:width-1]) + "…"
}

// wrap breaks a text into lines at spaces.
func wrap(text string, width int) []string {
	var lines []string
	now := ""
	for _, word := range strings.Fields(text) {
		switch {
		case now == "":
			now = word
		case len([]rune(now))+1+len([]rune(word)) <= width:
			now += " " + word
		default:
			lines, now = append(lines, now), word
		}
	}
	if now != "" {
		lines = append(lines, now)
	}
	return lines
}
