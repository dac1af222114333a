package show

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"spillway/internal/drill"
	"spillway/internal/drill/outcome"
)

// lineEvery is how often progress is a line where there is no terminal.
const lineEvery = 5 * time.Second

// drawEvery is how often a terminal is drawn anew.
const drawEvery = 200 * time.Millisecond

// Live follows a drill. On a terminal it draws a small chart in place; else it
// writes lines. It implements drill.Watcher.
type Live struct {
	out      io.Writer
	terminal bool
	columns  func() int

	phase   drill.Phase
	since   time.Time // of the phase
	last    time.Time // drawn or written
	events  []string  // the last ones, for the terminal
	like    string    // what the last one was like
	drawn   int       // lines that stand on the terminal
	history []second
	top     int // most connections of any side so far: charts have one scale
	side    string
}

// second is a column of the chart.
type second struct {
	at         int
	ok, failed int
	conns      int
}

// NewLive makes a Live; columns tells the terminal's width, nil where there is none.
func NewLive(out io.Writer, columns func() int) *Live {
	return &Live{out: out, terminal: columns != nil, columns: columns}
}

// Phase implements drill.Watcher.
func (l *Live) Phase(p drill.Phase) {
	if l.terminal && p.Side != l.side {
		l.freeze()
		l.history, l.events, l.like = nil, nil, ""
	}
	l.phase, l.since, l.side = p, time.Now(), p.Side
	if l.terminal {
		if l.drawn == 0 {
			l.draw([]string{l.head(drill.Tick{})})
		}
		return
	}
	fmt.Fprintln(l.out, strings.TrimSpace(phaseText(p)))
	l.last = time.Now()
}

func phaseText(p drill.Phase) string {
	text := p.What
	if p.Side != "" {
		text = p.Side + ": " + p.What
	}
	if p.Last > 0 {
		text += fmt.Sprintf(" (%s)", p.Last.Round(100*time.Millisecond))
	}
	return text
}

// Tick implements drill.Watcher.
func (l *Live) Tick(t drill.Tick) {
	l.note(t)
	if l.terminal {
		for _, e := range l.fresh(t) {
			l.events = append(l.events, eventText(e))
		}
		l.events = l.events[max(len(l.events)-keptEvents, 0):]
		if time.Since(l.last) >= drawEvery {
			l.last = time.Now()
			l.draw(l.picture(t))
		}
		return
	}
	for _, e := range l.fresh(t) {
		fmt.Fprintf(l.out, "  %s %s\n", t.Side, eventText(e))
	}
	if time.Since(l.last) >= lineEvery {
		l.last = time.Now()
		fmt.Fprintln(l.out, "  "+t.Side+" "+numbers(t))
	}
}

// fresh are the events worth a line: of many alike only the first.
func (l *Live) fresh(t drill.Tick) []outcome.Event {
	var all []outcome.Event
	for _, e := range t.Fresh {
		if like := e.Kind + likeness(e.What); e.Kind != "phase" && like != l.like {
			l.like = like
			all = append(all, e)
		}
	}
	return all
}

func eventText(e outcome.Event) string {
	if e.Kind == "named" {
		return fmt.Sprintf("%5.1f s  %s names the cause: %s", e.At, e.Who, printable(e.What))
	}
	return fmt.Sprintf("%5.1f s  %s: %s", e.At, e.Who, printable(e.What))
}

// keptEvents is how many events stand below the chart.
const keptEvents = 4

// note keeps the worst of each second for the chart.
func (l *Live) note(t drill.Tick) {
	at, all := int(t.At), 0
	for _, n := range t.Conns {
		all += n
	}
	if n := len(l.history); n == 0 || l.history[n-1].at < at {
		l.history = append(l.history, second{at: at})
	}
	s := &l.history[len(l.history)-1]
	s.ok, s.failed, s.conns = t.OK, max(s.failed, t.Failed), max(s.conns, all)
	l.top = max(l.top, all)
}

func numbers(t drill.Tick) string {
	rate := 0.0
	if n := t.OK + t.Failed; n > 0 {
		rate = 100 * float64(t.Failed) / float64(n)
	}
	text := fmt.Sprintf("%5.1f s  API %d/s, %.0f%% fail, p99 %s; connections %s; operator in %d of %d", t.At, t.OK+t.Failed, rate, millis(t.P99), holders(t.Conns), t.In, t.Looks)
	if t.Waiting > 0 {
		text += fmt.Sprintf("; %d wait", t.Waiting)
	}
	return text
}

func holders(conns map[string]int) string {
	all := 0
	var parts []string
	for _, role := range byCount(conns) {
		all += conns[role]
		parts = append(parts, fmt.Sprintf("%s %d", printable(role), conns[role]))
	}
	if all == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", all, strings.Join(parts, ", "))
}

func byCount(conns map[string]int) []string {
	return slices.SortedFunc(maps.Keys(conns), func(a, b string) int {
		if conns[a] != conns[b] {
			return conns[b] - conns[a]
		}
		return strings.Compare(a, b)
	})
}

func millis(s float64) string {
	return (time.Duration(s*1e6) * time.Microsecond).Round(time.Millisecond).String()
}

// blocks are the heights of a chart's column.
var blocks = []rune(" ▁▂▃▄▅▆▇█")

func (l *Live) head(t drill.Tick) string {
	left := ""
	if l.phase.Last > 0 {
		left = fmt.Sprintf(", %ds left", int(max(l.phase.Last-time.Since(l.since), 0).Seconds()))
	}
	name := l.phase.What
	if l.phase.Side != "" {
		name = strings.ToUpper(l.phase.Side) + "  " + name
	}
	return name + left
}

func (l *Live) picture(t drill.Tick) []string {
	lines := []string{
		l.head(t),
		chart("API fails  ", l.history, l.columns(), func(s second) (int, int) { return s.failed, max(s.ok+s.failed, 1) }),
		chart("connections", l.history, l.columns(), func(s second) (int, int) { return s.conns, max(l.top, 1) }),
		numbers(t),
	}
	return append(lines, l.events...)
}

// chart is one row of blocks, a column a second, the newest on the right.
func chart(name string, history []second, columns int, of func(second) (part, whole int)) string {
	room := max(columns-len(name)-3, 1)
	if len(history) > room {
		history = history[len(history)-room:]
	}
	line := []rune(name + " ")
	for _, s := range history {
		part, whole := of(s)
		height := 0
		if part > 0 {
			height = min(1+part*(len(blocks)-2)/whole, len(blocks)-1)
		}
		line = append(line, blocks[height])
	}
	return string(line)
}

// draw replaces what stands on the terminal.
func (l *Live) draw(lines []string) {
	var b strings.Builder
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", l.drawn)
	}
	for _, text := range lines {
		if runes := []rune(text); len(runes) > l.columns()-1 {
			text = string(runes[:max(l.columns()-1, 0)])
		}
		b.WriteString("\r\x1b[K" + text + "\n")
	}
	if extra := l.drawn - len(lines); extra > 0 {
		b.WriteString(strings.Repeat("\r\x1b[K\n", extra) + fmt.Sprintf("\x1b[%dA", extra))
	}
	l.drawn = len(lines)
	fmt.Fprint(l.out, b.String())
}

// freeze leaves what stands there and begins below it.
func (l *Live) freeze() {
	if l.drawn > 1 {
		fmt.Fprintln(l.out)
	} else if l.drawn == 1 {
		fmt.Fprint(l.out, "\x1b[1A\r\x1b[K")
	}
	l.drawn = 0
}

// End leaves the terminal as a table may follow.
func (l *Live) End() { l.freeze() }

// printable keeps control characters of other programs from the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// Table writes the two sides side by side, then the promises.
func Table(out io.Writer, r outcome.Result) error {
	heads := outcome.Row{Figure: r.Drill, Bare: "bare", Guarded: "guarded", Report: "the report"}
	rows := append([]outcome.Row{heads}, r.Rows...)
	var wide [3]int
	for _, row := range rows {
		for i, cell := range []string{row.Figure, row.Bare, row.Guarded} {
			wide[i] = max(wide[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "%s | %s | %s | %s\n", pad(row.Figure, wide[0]), pad(row.Bare, wide[1]), pad(row.Guarded, wide[2]), row.Report)
		if i == 0 {
			b.WriteString(strings.Repeat("-", wide[0]+wide[1]+wide[2]+20) + "\n")
		}
	}
	b.WriteString("\n")
	for _, p := range r.Promises {
		mark := "held  "
		if !p.Held {
			mark = "BROKEN"
		}
		fmt.Fprintf(&b, "%s  %s: %s\n", mark, p.Text, printable(p.Saw))
	}
	if r.Void != "" {
		fmt.Fprintf(&b, "\nVOID    %s: run it again when it is quiet\n", r.Void)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-len([]rune(text)), 0))
}
