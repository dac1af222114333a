package show

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"spillway/internal/drill/outcome"
)

// Size of a chart in its own units, and the room for its axes.
const (
	chartWidth, chartHeight        = 560.0, 170.0
	leftRoom, topRoom, bottomRoom  = 44.0, 18.0, 18.0
	plotWidth, plotHeight, plotEnd = chartWidth - leftRoom - 6, chartHeight - topRoom - bottomRoom, chartHeight - bottomRoom
)

// holder is a role with its colour.
type holder struct{ Role, Colour string }

// palette tells holders apart, also for most who see fewer colours. The first
// is the one with most connections on the bare side.
var palette = [...]string{"#d9480f", "#1c7ed6", "#2b8a3e", "#9c36b5", "#868e96", "#f59f00", "#0b7285", "#5f3dc4"}

// scales are shared by both sides, so that they can be compared by eye.
type scales struct {
	end      float64
	conns    int
	slowest  float64
	requests int
	holders  []holder
}

func scaleOf(r *outcome.Result) scales {
	s := scales{conns: 1, slowest: 0.01, requests: 1}
	most := map[string]int{}
	for _, side := range []*outcome.Side{&r.Bare, &r.Guarded} {
		s.end = max(s.end, side.End)
		for _, second := range side.Seconds {
			all := 0
			for role, n := range second.Holders {
				all += n
				most[role] = max(most[role], n)
			}
			s.conns, s.requests, s.slowest = max(s.conns, all), max(s.requests, second.OK+second.Failed), max(s.slowest, second.P99)
		}
	}
	roles := slices.SortedFunc(maps.Keys(most), func(a, b string) int {
		return cmp.Or(cmp.Compare(most[b], most[a]), cmp.Compare(a, b))
	})
	for i, role := range roles {
		s.holders = append(s.holders, holder{role, palette[i%len(palette)]})
	}
	return s
}

func (s scales) x(at float64) float64 {
	return leftRoom + plotWidth*min(at/max(s.end, 1), 1)
}

// drawing is a chart being written.
type drawing struct {
	strings.Builder
	scales
}

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

// begin draws the frame: title, the fault's span, marks of events.
func begin(title string, side *outcome.Side, s scales) *drawing {
	d := &drawing{scales: s}
	d.add(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, chartHeight, html.EscapeString(title+", "+side.Name))
	d.add(`<rect class="fault" x="%.1f" y="%g" width="%.1f" height="%g"><title>the fault</title></rect>`, d.x(side.FaultAt), topRoom, d.x(side.FaultEnd)-d.x(side.FaultAt), plotHeight)
	d.add(`<text class="title" x="%g" y="12">%s</text>`, leftRoom, html.EscapeString(title))
	for at := 0.0; at <= s.end; at += step(s.end) {
		d.add(`<text class="axis" x="%.1f" y="%g" text-anchor="middle">%g s</text>`, d.x(at), chartHeight-4, at)
	}
	return d
}

// step is the distance of the marks below a chart, in seconds.
func step(end float64) float64 {
	for _, s := range []float64{1, 2, 5, 10, 20, 30, 60} {
		if end/s <= 9 {
			return s
		}
	}
	return 120
}

// grid draws a line at a height with its value.
func (d *drawing) grid(y float64, text string) {
	d.add(`<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, leftRoom, chartWidth-6, y, y)
	d.add(`<text class="axis" x="%g" y="%.1f" text-anchor="end">%s</text>`, leftRoom-4, y+3, html.EscapeString(text))
}

// finish draws the marks of names and actions above all else.
func (d *drawing) finish(side *outcome.Side) template.HTML {
	for _, e := range side.Events {
		if e.Kind != "named" && e.Kind != "action" {
			continue
		}
		d.add(`<g class="%s"><line x1="%.1f" x2="%.1f" y1="%g" y2="%g"/><circle cx="%.1f" cy="%g" r="3"/><title>%s %s: %s</title></g>`,
			e.Kind, d.x(e.At), d.x(e.At), topRoom, plotEnd, d.x(e.At), topRoom, relative(e.At, side), html.EscapeString(e.Who), html.EscapeString(e.What))
	}
	d.add("</svg>")
	return template.HTML(d.String()) // every text in it is escaped above
}

// connections stacks PostgreSQL's connections by role.
func connections(side *outcome.Side, s scales) template.HTML {
	d := begin("PostgreSQL's connections by holder", side, s)
	y := func(n int) float64 { return plotEnd - plotHeight*float64(n)/float64(s.conns) }
	for _, n := range []int{0, s.conns / 2, s.conns} {
		d.grid(y(n), fmt.Sprint(n))
	}
	under := make([]int, len(side.Seconds))
	for _, h := range s.holders {
		var top, bottom []string
		for i, second := range side.Seconds {
			n := second.Holders[h.Role]
			bottom = append(bottom, fmt.Sprintf("%.1f,%.1f", d.x(float64(i)+0.5), y(under[i])))
			under[i] += n
			top = append(top, fmt.Sprintf("%.1f,%.1f", d.x(float64(i)+0.5), y(under[i])))
		}
		slices.Reverse(bottom)
		d.add(`<polygon fill="%s" points="%s"><title>%s</title></polygon>`, h.Colour, strings.Join(append(top, bottom...), " "), html.EscapeString(h.Role))
	}
	return d.finish(side)
}

// fastest is the lower end of the scale of latencies: a millisecond.
const fastest = 0.001

// latency draws the median and the 99th percentile of each second.
func latency(side *outcome.Side, s scales) template.HTML {
	d := begin("Latency of the API: median and p99 of each second", side, s)
	decades := math.Log10(max(s.slowest, 0.01) / fastest)
	y := func(v float64) float64 {
		return plotEnd - plotHeight*min(math.Log10(max(v, fastest)/fastest)/decades, 1)
	}
	for v := fastest; v <= max(s.slowest, 0.01)*1.001; v *= 10 {
		d.grid(y(v), took(v))
	}
	for _, l := range []struct {
		class string
		of    func(outcome.Second) float64
	}{{"p50", func(s outcome.Second) float64 { return s.P50 }}, {"p99", func(s outcome.Second) float64 { return s.P99 }}} {
		var points []string
		for i, second := range side.Seconds {
			if second.OK+second.Failed > 0 {
				points = append(points, fmt.Sprintf("%.1f,%.1f", d.x(float64(i)+0.5), y(l.of(second))))
			}
		}
		d.add(`<polyline class="%s" points="%s"><title>%s</title></polyline>`, l.class, strings.Join(points, " "), l.class)
	}
	return d.finish(side)
}

func took(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%g ms", math.Round(s*1000))
	}
	return fmt.Sprintf("%g s", math.Round(s))
}

// requests draws what the API answered and what failed, a bar a second.
func requests(side *outcome.Side, s scales) template.HTML {
	d := begin("Requests of the API a second: answered and failed", side, s)
	unit := plotHeight / float64(s.requests)
	for _, n := range []int{0, s.requests} {
		d.grid(plotEnd-unit*float64(n), fmt.Sprint(n))
	}
	width := max(d.x(1)-d.x(0)-0.5, 0.5)
	for i, second := range side.Seconds {
		ok, failed := unit*float64(second.OK), unit*float64(second.Failed)
		d.add(`<rect class="ok" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, d.x(float64(i)), plotEnd-ok, width, ok)
		if second.Failed > 0 {
			d.add(`<rect class="failed" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>second %d: %d failed</title></rect>`,
				d.x(float64(i)), plotEnd-ok-failed, width, failed, i, second.Failed)
		}
	}
	return d.finish(side)
}
