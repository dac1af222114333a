package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"spillway/internal/node"
)

// lineEvery is how often progress is a line where there is no terminal.
const lineEvery = 10 * time.Second

// bar shows the progress of a sweep: one line that changes on a terminal, a line
// every ten seconds and at every change of the brakes otherwise.
type bar struct {
	out      io.Writer
	terminal bool
	width    int // of what stands on the terminal's line
	last     time.Time
	brake    string
}

func newBar(out io.Writer) *bar {
	file, ok := out.(*os.File)
	return &bar{out: out, terminal: ok && isTerminal(file)}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (b *bar) show(p node.SweepProgress) {
	if b.terminal {
		line := barText(p, columnsOf(b.out))
		pad := max(b.width-len([]rune(line)), 0)
		fmt.Fprintf(b.out, "\r%s%s", line, strings.Repeat(" ", pad))
		b.width = len([]rune(line))
		return
	}
	kind := brakeName(p.Brake)
	if time.Since(b.last) < lineEvery && kind == b.brake {
		return
	}
	b.last, b.brake = time.Now(), kind
	fmt.Fprintln(b.out, progressText(p))
}

// end leaves the terminal's line.
func (b *bar) end() {
	if b.width > 0 {
		fmt.Fprintln(b.out)
		b.width = 0
	}
}

// brakeName is the brake without its numbers.
func brakeName(brake string) string {
	name, _, _ := strings.Cut(brake, ":")
	return name
}

func progressText(p node.SweepProgress) string {
	parts := []string{
		fmt.Sprintf("%.0f%%", 100*p.Part), fmt.Sprintf("%d rows deleted", p.Deleted), fmt.Sprintf("about %.0f left", p.Left),
		fmt.Sprintf("%.0f rows/s (mean %.0f)", p.Now, p.Mean),
	}
	if p.Job.Lambda > 0 {
		parts = append(parts, fmt.Sprintf("λ %.1f/s", p.Job.Lambda))
	}
	if p.ETA >= 0 {
		parts = append(parts, "ETA "+short(time.Duration(p.ETA*float64(time.Second)).Round(time.Second)))
	}
	if p.Brake != "" {
		parts = append(parts, "held by "+text(p.Brake, time.Time{}))
	}
	return strings.Join(parts, ", ")
}

// barCells is the bar's width.
const barCells = 24

func barText(p node.SweepProgress, columns int) string {
	full := min(max(int(p.Part*barCells), 0), barCells)
	line := "[" + strings.Repeat("#", full) + strings.Repeat(".", barCells-full) + "] " + progressText(p)
	if runes := []rune(line); len(runes) > columns-1 {
		line = string(runes[:max(columns-1, 0)])
	}
	return line
}

func columnsOf(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
	}
	return 120
}
