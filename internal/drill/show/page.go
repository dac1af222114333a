package show

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"spillway/internal/drill/outcome"
)

//go:embed page.html
var pageText string

// page is what the template is given.
type page struct {
	outcome.Result
	Sides  []sidePage
	Legend []holder
}

// sidePage is a side with its charts drawn.
type sidePage struct {
	outcome.Side
	Heading                      string
	Connections, Latency, Errors template.HTML
	Timeline                     []moment
}

// moment is a line of the timeline.
type moment struct{ At, Who, Kind, What string }

// Page writes a result as one file of HTML that loads nothing: charts are SVG,
// it has no script, and reads in light and dark.
func Page(out io.Writer, r outcome.Result) error {
	parsed, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("read the page's template: %w", err)
	}
	scale := scaleOf(&r)
	p := page{Result: r, Legend: scale.holders}
	for _, side := range []*outcome.Side{&r.Bare, &r.Guarded} {
		p.Sides = append(p.Sides, sidePage{
			Side: *side, Heading: heading(side.Name), Timeline: timeline(side),
			Connections: connections(side, scale), Latency: latency(side, scale), Errors: requests(side, scale),
		})
	}
	if err := parsed.Execute(out, p); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func heading(name string) string {
	if name == "bare" {
		return "Bare: clients reach PostgreSQL directly"
	}
	return "Guarded: the same behind Spillway"
}

// timeline is a side's events, with its time to the fault; repeated actions
// of a kind are told once with their number.
func timeline(side *outcome.Side) []moment {
	var all []moment
	same := 0
	for i, e := range side.Events {
		if i > 0 && e.Kind == "action" && side.Events[i-1].Kind == "action" && likeness(e.What) == likeness(side.Events[i-1].What) {
			same++
			all[len(all)-1].What = fmt.Sprintf("%s (and %d more alike, the last at %s)", strings.SplitN(all[len(all)-1].What, " (and ", 2)[0], same, relative(e.At, side))
			continue
		}
		same = 0
		all = append(all, moment{relative(e.At, side), e.Who, e.Kind, e.What})
	}
	return all
}

// likeness is a text without its numbers.
func likeness(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '.' || r == 'm' || r == 's' {
			return -1
		}
		return r
	}, text)
}

// relative is a moment as seconds before or after the fault.
func relative(at float64, side *outcome.Side) string { return fmt.Sprintf("%+.1f s", at-side.FaultAt) }
