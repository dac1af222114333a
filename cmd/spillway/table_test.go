package main

import (
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	at := time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)
	columns := []column{{"NAME", "application_name", text}, {"ACTIVE", "clients.active", text}, {"HELD", "checked_out_at", age}, {"WAIT", "wait_seconds", seconds}, {"PAUSED", "paused", text}}
	rows := []row{
		{"application_name": "job\x1b[2J\n", "clients": map[string]any{"active": 12.0}, "checked_out_at": "2026-11-21T00:58:30Z", "wait_seconds": 0.0125, "paused": true},
		{"application_name": "", "clients": "not a map", "checked_out_at": "soon", "wait_seconds": 0.0},
	}
	var out strings.Builder
	if err := printTable(&out, columns, rows, at); err != nil {
		t.Fatal(err)
	}
	want := "NAME       ACTIVE  HELD   WAIT  PAUSED\n" +
		"job?[2J?  12      1m30s  13ms  yes\n" +
		"-          -       ?      -     -\n"
	if got := out.String(); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestShort(t *testing.T) {
	tests := map[time.Duration]string{
		-time.Second:                   "0s",
		1500 * time.Nanosecond:         "2µs",
		12345 * time.Microsecond:       "12ms",
		59940 * time.Millisecond:       "59.9s",
		10 * time.Minute:               "10m00s",
		70 * time.Second:               "1m10s",
		3*time.Hour + 5*time.Minute:    "3h05m",
		50*time.Hour + 59*time.Minute:  "2d02h",
		time.Duration(1<<63 - 1):       "106751d23h",
		time.Hour - 1*time.Millisecond: "59m59s",
	}
	for d, want := range tests {
		if got := short(d); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
}

func TestBriefFitsIntoALine(t *testing.T) {
	if got := brief("short", time.Time{}); got != "short" {
		t.Errorf("short is %q", got)
	}
	if got := []rune(brief(strings.Repeat("ä", 300), time.Time{})); len(got) != mostBrief+1 || got[mostBrief] != '…' {
		t.Errorf("long is %d letters", len(got))
	}
}
