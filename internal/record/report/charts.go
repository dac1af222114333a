package report

import (
	"fmt"
	"html"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"spillway/internal/record/incident"
)

// Size of a chart in units of its own.
const (
	width, height           = 960, 320
	marginLeft, marginRight = 60, 200
	marginTop, marginBottom = 34, 40
	plotWidth, plotHeight   = width - marginLeft - marginRight, height - marginTop - marginBottom
	mostMarks               = 12
	mostCurves              = 8
)

// curve is one line or band of a chart.
type curve struct {
	name   string
	values []float64
}

// chart is a picture over the time of the points.
type chart struct {
	title, unit string
	at          []time.Time
	curves      []curve
	stacked     bool
	marks       []chartMark
	limit       []float64 // a bound over the curves; nil = none
}

// chartMark is a moment shown as an upright line.
type chartMark struct {
	at   time.Time
	text string
}

// Charts are pictures of the points by file name; none where nothing was measured.
func Charts(r *Report) map[string]string {
	charts := map[string]string{}
	if len(r.Points) < 2 {
		return charts
	}
	marks := r.marks()
	for name, c := range map[string]chart{
		"connections": {title: "Servers in use by workload", unit: "servers", stacked: true, curves: r.curves(func(l *incident.Load) float64 { return float64(l.InUse) })},
		"queue":       {title: "Clients waiting by workload", unit: "clients", stacked: true, curves: r.curves(func(l *incident.Load) float64 { return float64(l.Waiting) })},
		"latency":     {title: "P95 of transactions by workload", unit: "s", curves: r.curves(func(l *incident.Load) float64 { return l.P95 })},
		"errors":      {title: "Transactions that went wrong, a second", unit: "1/s", stacked: true, curves: r.rates()},
	} {
		c.marks = marks
		for n := range r.Points {
			c.at = append(c.at, r.Points[n].At)
		}
		if name == "connections" {
			c.limit = r.usable()
		}
		charts["incident-"+r.ID+"-"+name+".svg"] = c.svg()
	}
	return charts
}

func chartNames(charts map[string]string) []string { return slices.Sorted(maps.Keys(charts)) }

// marks are the clocks and actions as upright lines.
func (r *Report) marks() []chartMark {
	var marks []chartMark
	for _, m := range r.Clocks {
		marks = append(marks, chartMark{m.At, string(m.Clock)})
	}
	for _, l := range r.Timeline {
		if l.Kind == "action.applied" && len(marks) < mostMarks {
			marks = append(marks, chartMark{l.At, cutWords(l.Text, 40)})
		}
	}
	slices.SortStableFunc(marks, func(a, b chartMark) int { return a.at.Compare(b.at) })
	return marks
}

func cutWords(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}

// curves are the largest workloads' values; the others are summed up.
func (r *Report) curves(of func(*incident.Load) float64) []curve {
	byName := map[string][]float64{}
	for n := range r.Points {
		for k := range r.Points[n].Loads {
			l := &r.Points[n].Loads[k]
			if byName[l.Workload] == nil {
				byName[l.Workload] = make([]float64, len(r.Points))
			}
			byName[l.Workload][n] += of(l)
		}
	}
	var curves []curve
	for name, values := range byName {
		curves = append(curves, curve{name, values})
	}
	slices.SortFunc(curves, func(a, b curve) int {
		if x, y := slices.Max(a.values), slices.Max(b.values); x != y {
			if x > y {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return curves[:min(len(curves), mostCurves)]
}

// usable is how many servers there may be over all upstreams.
func (r *Report) usable() []float64 {
	values := make([]float64, len(r.Points))
	for n := range r.Points {
		for _, u := range r.Points[n].Upstreams {
			values[n] += float64(u.Usable)
		}
	}
	return values
}

func (r *Report) rates() []curve {
	failed, slow := make([]float64, len(r.Points)), make([]float64, len(r.Points))
	for n := range r.Points {
		p := &r.Points[n]
		for _, l := range p.Loads {
			failed[n] += float64(l.Failed) / max(p.Seconds, 1)
			slow[n] += float64(l.Slow) / max(p.Seconds, 1)
		}
	}
	return []curve{{"failed", failed}, {"slow", slow}}
}

// colours differ in lightness too, so that they are told apart without hue.
func colours() []string {
	return []string{"#1b4f72", "#e67e22", "#7fb3d5", "#922b21", "#f7dc6f", "#145a32", "#bb8fce", "#626567"}
}

func (c *chart) svg() string {
	var b strings.Builder
	top := c.top()
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img" aria-label="%s">`+"\n", width, height, html.EscapeString(c.title))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="18" font-size="14" font-weight="bold">%s</text>`+"\n", marginLeft, html.EscapeString(c.title))
	c.axes(&b, top)
	c.draw(&b, top)
	c.drawLimit(&b, top)
	c.drawMarks(&b)
	b.WriteString("</svg>\n")
	return b.String()
}

// top is the largest value on the upright axis.
func (c *chart) top() float64 {
	most := 0.0
	for n := range c.at {
		sum := 0.0
		for _, one := range c.curves {
			sum += one.values[n]
			if !c.stacked {
				most = max(most, one.values[n])
			}
		}
		if c.stacked {
			most = max(most, sum)
		}
		if c.limit != nil {
			most = max(most, c.limit[n])
		}
	}
	if most == 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	return math.Ceil(most/step) * step
}

func (c *chart) x(at time.Time) float64 {
	first, last := c.at[0], c.at[len(c.at)-1]
	span := last.Sub(first).Seconds()
	if span <= 0 {
		return marginLeft
	}
	return marginLeft + plotWidth*min(max(at.Sub(first).Seconds()/span, 0), 1)
}

func y(value, top float64) float64 {
	return marginTop + plotHeight*(1-min(max(value/top, 0), 1))
}

func (c *chart) axes(b *strings.Builder, top float64) {
	for n := 0; n <= 4; n++ {
		value := top * float64(n) / 4
		at := y(value, top)
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			marginLeft, at, marginLeft+plotWidth, at, marginLeft-6, at+4, number(value))
	}
	first, last := c.at[0], c.at[len(c.at)-1]
	for n := 0; n <= 4; n++ {
		at := first.Add(last.Sub(first) * time.Duration(n) / 4)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", c.x(at), height-marginBottom+18, clock(at))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#555">UTC, %s; unit: %s</text>`+"\n", marginLeft+plotWidth/2, height-6, first.UTC().Format(time.DateOnly), html.EscapeString(c.unit))
}

// draw draws the curves, stacked ones from the last to the first so that the
// largest lies at the bottom.
func (c *chart) draw(b *strings.Builder, top float64) {
	below := make([]float64, len(c.at))
	for n, one := range c.curves {
		colour := colours()[n%len(colours())]
		var path strings.Builder
		for k, value := range one.values {
			fmt.Fprintf(&path, "%.1f,%.1f ", c.x(c.at[k]), y(value+below[k], top))
		}
		if c.stacked {
			for k := len(one.values) - 1; k >= 0; k-- {
				fmt.Fprintf(&path, "%.1f,%.1f ", c.x(c.at[k]), y(below[k], top))
			}
			for k, value := range one.values {
				below[k] += value
			}
			fmt.Fprintf(b, `<polygon points="%s" fill="%s" fill-opacity="0.85"/>`+"\n", strings.TrimSpace(path.String()), colour)
		} else {
			fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.8"/>`+"\n", strings.TrimSpace(path.String()), colour)
		}
		at := marginTop + 16*n
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="10" height="10" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			width-marginRight+12, at, colour, width-marginRight+27, at+9, html.EscapeString(cutWords(one.name, 24)))
	}
}

// drawLimit draws the bound, where there is one.
func (c *chart) drawLimit(b *strings.Builder, top float64) {
	if c.limit == nil || slices.Max(c.limit) == 0 {
		return
	}
	var path strings.Builder
	for k, value := range c.limit {
		fmt.Fprintf(&path, "%.1f,%.1f ", c.x(c.at[k]), y(value, top))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="#c00" stroke-width="1.5" stroke-dasharray="6 3"/><text x="%d" y="%.1f" fill="#c00" font-size="10">usable</text>`+"\n",
		strings.TrimSpace(path.String()), marginLeft+4, y(c.limit[0], top)-4)
}

// drawMarks draws upright lines with numbers, and names them at the right.
func (c *chart) drawMarks(b *strings.Builder) {
	shown := 0
	for _, m := range c.marks {
		if m.at.Before(c.at[0]) || m.at.After(c.at[len(c.at)-1]) || shown >= mostMarks {
			continue
		}
		shown++
		x := c.x(m.at)
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#333" stroke-dasharray="3 3"/><text x="%.1f" y="%d" font-size="10" text-anchor="middle">%d</text>`+"\n",
			x, marginTop, x, height-marginBottom, x, marginTop-3, shown)
		fmt.Fprintf(b, `<text x="%d" y="%d" font-size="10">%d %s</text>`+"\n", width-marginRight+12, marginTop+16*len(c.curves)+12+12*shown, shown, html.EscapeString(clock(m.at)+" "+cutWords(m.text, 22)))
	}
}
