package show

import (
	"fmt"
	"io"
	"strings"

	"spillway/internal/drill"
)

// textWidth is how wide prose is written, if the terminal is not narrower.
const textWidth = 100

// Intro tells what a drill replays before it begins; columns tells the
// terminal's width, nil where there is none.
func Intro(out io.Writer, d drill.Drill, columns func() int) error {
	width := textWidth
	if columns != nil {
		width = min(width, max(columns()-1, 20))
	}
	_, err := fmt.Fprintf(out, "%s (report %s)\n%s\n\n%s\n%s\n\n", d.Title, strings.Join(d.Reports, ", "), wrap(d.Story, width),
		wrap("Hypothesis: "+d.Hypothesis, width), wrap("Steady state: "+d.Steady, width))
	return err
}

// wrap breaks a text between words.
func wrap(text string, width int) string {
	var b strings.Builder
	at := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case at == 0:
		case at+1+n > width:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}
