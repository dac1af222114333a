package show

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"spillway/internal/drill"
	"spillway/internal/drill/gauge"
	"spillway/internal/drill/outcome"
)

const hostile = `<script>alert("x")</script>` + "\x1b[31m"

// made is a result with every part of the page in it.
func made() outcome.Result {
	named := 2.0
	side := func(name string) outcome.Side {
		s := outcome.Side{Name: name, FaultAt: 3, FaultEnd: 7, End: 10, Config: "workloads: {}", Postmortem: "# " + hostile,
			Events: []outcome.Event{
				{At: 3, Who: "drill", Kind: "fault", What: "it begins"}, {At: 5, Who: "spillway", Kind: "named", What: hostile},
				{At: 5, Who: "spillway", Kind: "action", What: "took back 1"}, {At: 6, Who: "spillway", Kind: "action", What: "took back 22"},
			},
			Errors: []outcome.Failure{{Code: "53300", Count: 3, Sample: hostile}}, Services: []outcome.ServiceReport{{Name: "pgbench", Failed: true, Said: hostile}},
		}
		for i := range 10 {
			s.Seconds = append(s.Seconds, outcome.Second{OK: 60 - i, Failed: i, P50: 0.001, P99: float64(i) / 3, Holders: map[string]int{"worker": 8 * i, hostile: 1}})
		}
		return s
	}
	return outcome.Result{Drill: "leak", Title: "A leak", Reports: []string{"001"}, Story: hostile, Load: []string{"an API", hostile}, Scale: 1, BeganAt: time.Unix(0, 0),
		Bare: side("bare"), Guarded: side("guarded"), Rows: []outcome.Row{{Figure: "availability", Bare: "47 %", Guarded: "100 %", Report: "-"}},
		Promises: []outcome.Promise{{Text: "it holds", Saw: took(named), Held: true}, {Text: "this does not", Saw: hostile}}, Void: "busy"}
}

// TestPageIsOneSafeFile: nothing is loaded or run, what clients said is text,
// and every chart is well-formed.
func TestPageIsOneSafeFile(t *testing.T) {
	var out bytes.Buffer
	if err := Page(&out, made()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, bad := range []string{"<script", "http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{"A promise is broken", "void", "&lt;script&gt;", "availability", "took back 1 (and 1 more alike, the last at &#43;3.0 s)", "this does not"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	charts := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	if len(charts) != 6 {
		t.Errorf("%d charts", len(charts))
	}
	for _, chart := range charts {
		for d := xml.NewDecoder(strings.NewReader(strings.ReplaceAll(chart, "\x1b", ""))); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, chart)
			}
		}
	}
}

// TestEmptyPage: a drill that saw nothing still has a page.
func TestEmptyPage(t *testing.T) {
	if err := Page(io.Discard, outcome.Result{}); err != nil {
		t.Error(err)
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := Table(&out, made()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"leak         | bare | guarded | the report\n", "availability | 47 % | 100 %   | -\n", "held    it holds", "BROKEN  this does not", "VOID    busy"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a terminal would obey it")
	}
}

func tick(at float64, fresh ...outcome.Event) drill.Tick {
	return drill.Tick{Side: "bare", Live: gauge.Live{At: at, OK: 30, Failed: 30, P99: 0.25, Conns: map[string]int{"worker": 80, "api": 2}, Looks: 4, In: 1, Fresh: fresh}}
}

func TestLines(t *testing.T) {
	var out strings.Builder
	l := NewLive(&out, nil)
	l.Phase(drill.Phase{Side: "bare", What: "fault", Last: 35 * time.Second})
	l.Tick(tick(1, outcome.Event{At: 1, Who: "drill", Kind: "fault", What: "begins" + hostile}, outcome.Event{At: 1, Who: "drill", Kind: "phase", What: "fault"}))
	l.last = time.Time{} // five seconds later
	l.Tick(tick(6))
	l.End()
	want := "bare: fault (35s)\n  bare   1.0 s  drill: begins" + strings.ReplaceAll(hostile, "\x1b", " ") + "\n" +
		"  bare   6.0 s  API 60/s, 50% fail, p99 250ms; connections 82 (worker 80, api 2); operator in 1 of 4\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

// TestTerminal: it draws in place, never wider than the terminal, and leaves
// what it drew when a side ends.
func TestTerminal(t *testing.T) {
	var out strings.Builder
	l := NewLive(&out, func() int { return 40 })
	l.Phase(drill.Phase{Side: "bare", What: "fault", Last: 35 * time.Second})
	for i := range 60 {
		l.last = time.Time{} // time to draw
		l.Tick(tick(float64(i), outcome.Event{At: 1, Who: "drill", Kind: "fault", What: "begins"}))
	}
	text := out.String()
	if !strings.Contains(text, "BARE  fault, 3") || !strings.Contains(text, "\x1b[5A") || !strings.ContainsRune(text, '█') {
		t.Errorf("drew %q", text[:200])
	}
	for _, line := range strings.Split(regexp.MustCompile(`\x1b\[\d*[AK]|\r`).ReplaceAllString(text, ""), "\n") {
		if n := len([]rune(line)); n > 39 {
			t.Errorf("a line of %d: %q", n, line)
		}
	}
	l.Phase(drill.Phase{Side: "guarded", What: "starting"})
	if l.drawn != 1 || len(l.history) != 0 {
		t.Errorf("another side begins with %d lines and %d seconds", l.drawn, len(l.history))
	}
}

func TestWrap(t *testing.T) {
	for _, line := range strings.Split(wrap(strings.Repeat("word ", 40), 21), "\n") {
		if line != "word word word word" {
			t.Errorf("line %q", line)
		}
	}
}
