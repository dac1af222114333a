package detect

import (
	"strings"
	"time"

	"spillway/internal/sample"
)

// Engine runs the detectors over frames. Not safe for concurrent use.
type Engine struct {
	bounds    Bounds
	detectors []detector
	board     board
	trends    trends
	marks     marks
	budgets   map[string]*budget
	last      *sample.Frame
}

// New makes an engine.
func New(b Bounds, objectives []Objective) *Engine {
	e := &Engine{detectors: detectors(), board: board{map[string]*entry{}}, trends: trends{map[string]*trend{}}, marks: newMarks(), budgets: map[string]*budget{}}
	e.Configure(b, objectives)
	return e
}

// Configure takes other bounds and objectives; what was seen stays.
func (e *Engine) Configure(b Bounds, objectives []Objective) {
	e.bounds = b
	kept := map[string]*budget{}
	for _, o := range objectives {
		old := e.budgets[o.Name]
		if old == nil || old.objective.different(o) {
			old = newBudget(o)
		}
		old.objective = o
		kept[o.Name] = old
	}
	e.budgets = kept
}

// groupTrend begins the names of trends that are zero once their group is gone.
const groupTrend = "group/"

// Look judges a frame and returns the findings that are to be told: new,
// changed, or cleared. Frames must come in the order of their times.
func (e *Engine) Look(f *sample.Frame) []Finding {
	e.follow(f)
	in := &Input{Frame: f, Bounds: &e.bounds, held: e.board.held, trends: &e.trends, claims: claims{}, marks: &e.marks, budget: e.budgets}
	for _, d := range e.detectors {
		t := d.timing(&e.bounds)
		for _, s := range d.look(in) {
			e.board.see(d.name, t, s, f.At)
		}
	}
	e.last = f
	return e.board.turn(f.At)
}

// Open are the findings that stand.
func (e *Engine) Open() []Finding { return e.board.open() }

// follow puts a frame's numbers into the trends.
func (e *Engine) follow(f *sample.Frame) {
	if p := f.Proxy; p != nil {
		for i := range p.Hosts {
			h := &p.Hosts[i]
			e.trends.add("busy/"+h.Name, f.At, float64(h.Busy))
			e.marks.host(h, f.At)
		}
		held := map[string]int{}
		for i := range p.Holders {
			h := &p.Holders[i]
			if h.Operator {
				continue
			}
			held[heldTrend(h.Host, h.Workload, h.Application)]++
			if idleFor(h, f.At) >= lingers {
				held[idleTrend(h.Host, h.Workload, h.Application)]++
			}
		}
		for name, n := range held {
			e.trends.add(name, f.At, float64(n))
		}
		e.trends.settle(f.At, func(name string) bool { return strings.HasPrefix(name, groupTrend) })
		e.marks.traffic(p, f.At)
		for _, b := range e.budgets {
			b.count(p, f.At)
		}
	}
}

func heldTrend(host, workload, application string) string {
	return groupTrend + host + "\x00held\x00" + workload + "\x00" + application
}

func idleTrend(host, workload, application string) string {
	return groupTrend + host + "\x00idle\x00" + workload + "\x00" + application
}

// lingers is how long a holder must be idle to be counted in the idle trend: a
// client between two statements of one transaction is not.
const lingers = 5 * time.Second

// idleFor is how long a holder has kept its server idle in a transaction; 0 when
// it does not.
func idleFor(h *sample.Holder, at time.Time) time.Duration {
	if h.State != sample.Idles && h.State != sample.Aborted || h.IdleAt.IsZero() {
		return 0
	}
	return at.Sub(h.IdleAt)
}
