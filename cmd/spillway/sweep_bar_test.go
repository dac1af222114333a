package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"spillway/internal/node"
)

func at(part float64, deleted int64, brake string) node.SweepProgress {
	var p node.SweepProgress
	p.Part, p.Deleted, p.Left, p.Now, p.Mean, p.ETA, p.Brake = part, deleted, 4000, 12_345, 10_000, 90, brake
	p.Job.Lambda = 2.5
	return p
}

// TestBarText: the bar shows what there is to know and never breaks the line.
func TestBarText(t *testing.T) {
	full := barText(at(0.5, 96_000, "p99: 9ms, 4ms while the sweep rests"), 300)
	for _, want := range []string{"[############............]", "50%", "96000 rows deleted", "about 4000 left", "12345 rows/s (mean 10000)", "λ 2.5/s", "ETA 1m30s", "held by p99: 9ms"} {
		if !strings.Contains(full, want) {
			t.Errorf("%q lacks %q", full, want)
		}
	}
	for _, columns := range []int{0, 1, 10, 80} {
		if n := len([]rune(barText(at(2, 1, ""), columns))); n > max(columns-1, 0) {
			t.Errorf("%d runes for %d columns", n, columns)
		}
	}
	if strings.ContainsAny(barText(at(-1, 1, "lock: \x1b[2J\nby x"), 300), "\x1b\n") {
		t.Error("what a database says reaches the terminal as it is")
	}
}

// TestLines: without a terminal there is a line at once, at every change of the
// brake, and not at every batch.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	b := newBar(&out)
	for range 50 {
		b.show(at(0.1, 1, ""))
	}
	b.show(at(0.2, 2, "lock: pid 1"))
	b.show(at(0.2, 2, "lock: pid 2"))
	b.show(at(0.2, 2, ""))
	b.end()
	if n := strings.Count(out.String(), "\n"); n != 3 || strings.Contains(out.String(), "\r") {
		t.Errorf("%d lines:\n%s", n, &out)
	}
}

// TestBarOnTerminal: one line that is written over, in a width that fits.
func TestBarOnTerminal(t *testing.T) {
	master, slave := openTerminal(t)
	b := newBar(slave)
	b.show(at(0.1, 1000, ""))
	b.show(at(0.2, 2000, ""))
	b.end()
	text := make([]byte, 4096)
	if err := master.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var all string
	for !strings.Contains(all, "\n") {
		n, err := master.Read(text)
		if err != nil {
			t.Fatalf("%v after %q", err, all)
		}
		all += string(text[:n])
	}
	if strings.Count(all, "\r[") != 2 || strings.Count(all, "\n") != 1 || !strings.Contains(all, "20%") {
		t.Errorf("%q", all)
	}
}

// openTerminal makes a pair of terminals of 80 columns.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, slave, err := terminalPair(80)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	return master, slave
}
