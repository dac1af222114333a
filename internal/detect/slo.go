package detect

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"spillway/internal/sample"
)

// Objective is what a workload's users are promised. A transaction is good when
// its server came within Wait, it took no longer than Latency, and Spillway
// caused no error; what Spillway sheds is bad.
type Objective struct {
	Name      string
	Workloads []string      // none: all
	Target    float64       // part of good transactions: 0.999
	Wait      time.Duration // for a server
	Latency   time.Duration // of the transaction; 0: not looked at
	Window    time.Duration // of the error budget
}

func (o Objective) different(p Objective) bool {
	return !slices.Equal(o.Workloads, p.Workloads) || o.Wait != p.Wait || o.Latency != p.Latency
}

func (o Objective) covers(workload string) bool {
	return len(o.Workloads) == 0 || slices.Contains(o.Workloads, workload)
}

// BurnRules are the windows of the SRE workbook: a burn rate counts when it is exceeded over
// the long and the short window. Factor = share of a 30-day budget × 720 h ÷
// long window: 2 %, 5 %, 10 %, 10 %.
func BurnRules() []BurnRule {
	return []BurnRule{
		{14.4, time.Hour, 5 * time.Minute, Page},
		{6, 6 * time.Hour, 30 * time.Minute, Page},
		{3, 24 * time.Hour, 2 * time.Hour, Warn},
		{1, 72 * time.Hour, 6 * time.Hour, Warn},
	}
}

// BurnRule is one pair of windows.
type BurnRule struct {
	Factor      float64
	Long, Short time.Duration
	Level       Level
}

// burnLeast is how many transactions the long window must have seen: fewer say
// nothing.
const burnLeast = 100

// budget counts one objective's transactions.
type budget struct {
	objective Objective
	last      map[string]counted // by host and workload
	fine      course             // minutes of three days
	coarse    course             // hours of thirty days
	total     counted
}

type counted struct{ all, bad float64 }

// course is cumulated counts, one point a step.
type course struct {
	step   time.Duration
	most   int
	points []coursePoint
}

type coursePoint struct {
	at time.Time
	counted
}

func newBudget(o Objective) *budget {
	return &budget{objective: o, last: map[string]counted{},
		fine:   course{step: time.Minute, most: 3*24*60 + 2},
		coarse: course{step: time.Hour, most: 30*24 + 2}}
}

// count takes what the proxy counted since the frame before.
func (b *budget) count(p *sample.Proxy, at time.Time) {
	for i := range p.Workloads {
		w := &p.Workloads[i]
		if !b.objective.covers(w.Name) {
			continue
		}
		slow := float64(w.Count.Wait.Above(b.objective.Wait.Seconds()))
		if b.objective.Latency > 0 {
			slow += float64(w.Count.Transaction.Above(b.objective.Latency.Seconds()))
		}
		now := counted{all: float64(w.Count.Transactions + w.Count.Failed), bad: slow + float64(w.Count.Failed)}
		key := w.Host + "\x00" + w.Name
		before, known := b.last[key]
		b.last[key] = now
		if !known || now.all < before.all || now.bad < before.bad {
			continue
		}
		came := now.all - before.all
		b.total.all += came
		b.total.bad += min(now.bad-before.bad, came)
	}
	b.fine.add(at, b.total)
	b.coarse.add(at, b.total)
}

func (c *course) add(at time.Time, n counted) {
	step := at.Truncate(c.step)
	if k := len(c.points); k > 0 && !c.points[k-1].at.Truncate(c.step).Before(step) {
		return // the first of a step stands for it
	}
	if len(c.points) >= c.most {
		copy(c.points, c.points[1:])
		c.points = c.points[:len(c.points)-1]
	}
	c.points = append(c.points, coursePoint{at, n})
}

// since is the counts at the begin of a window, and how much of it was seen.
func (c *course) since(at time.Time, window time.Duration) (counted, time.Duration) {
	if len(c.points) == 0 {
		return counted{}, 0
	}
	i, _ := slices.BinarySearchFunc(c.points, at.Add(-window), func(p coursePoint, t time.Time) int { return p.at.Compare(t) })
	i = min(i, len(c.points)-1)
	return c.points[i].counted, min(window, max(at.Sub(c.points[i].at), time.Second))
}

// burn is the rate at which the budget goes over a window: 1 uses it up exactly
// at the end of its own window. What was not seen of the window counts as good,
// at the rate of what was seen.
func (b *budget) burn(at time.Time, window time.Duration) (rate float64, events float64) {
	before, seen := b.fine.since(at, window)
	all, bad := b.total.all-before.all, b.total.bad-before.bad
	if all <= 0 || b.objective.Target >= 1 {
		return 0, all
	}
	return bad / all * (float64(seen) / float64(window)) / (1 - b.objective.Target), all
}

// Budget is how an objective stands.
type Budget struct {
	Objective Objective
	All, Bad  float64            // transactions in the window, as far as they were seen
	Seen      time.Duration      // of the window
	Used      float64            // part of the budget for what was seen of the window
	Burns     map[string]float64 // by window, "1h"

	TotalAll, TotalBad float64 // since start
}

func (b *budget) stat(at time.Time) Budget {
	before, seen := b.coarse.since(at, b.objective.Window)
	s := Budget{Objective: b.objective, All: b.total.all - before.all, Bad: b.total.bad - before.bad, Seen: seen, Burns: map[string]float64{}, TotalAll: b.total.all, TotalBad: b.total.bad}
	if allowed := s.All * (1 - b.objective.Target); allowed > 0 {
		s.Used = s.Bad / allowed * float64(seen) / float64(b.objective.Window)
	}
	for _, r := range BurnRules() {
		s.Burns[hours(r.Long)], _ = b.burn(at, r.Long)
		s.Burns[hours(r.Short)], _ = b.burn(at, r.Short)
	}
	return s
}

// Budgets are how the objectives stand, by name.
func (e *Engine) Budgets() []Budget {
	if e.last == nil {
		return nil
	}
	var list []Budget
	for _, name := range slices.Sorted(maps.Keys(e.budgets)) {
		list = append(list, e.budgets[name].stat(e.last.At))
	}
	return list
}

// lookBurn finds objectives whose budget goes too fast.
func lookBurn(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	var found []Suspicion
	for _, name := range slices.Sorted(maps.Keys(in.budget)) {
		b := in.budget[name]
		for _, r := range BurnRules() {
			long, events := b.burn(in.At, r.Long)
			short, _ := b.burn(in.At, r.Short)
			if _, seen := b.fine.since(in.At, r.Short); seen < r.Short/2 {
				continue
			}
			if events < burnLeast || long <= r.Factor || short <= r.Factor {
				continue
			}
			s := Suspicion{Key: "slo-burn/" + name, Level: r.Level}
			if len(b.objective.Workloads) == 1 {
				s.Workload = b.objective.Workloads[0]
			}
			s.Summary = fmt.Sprintf("objective %s (%s good) burns its error budget %.1f times too fast", name, ratioText(b.objective.Target), long)
			stat := b.stat(in.At)
			s.Evidence = []string{
				fmt.Sprintf("burn rate over %s %.1f and over %s %.1f, both above %.1f; %.0f transactions in the long window", hours(r.Long), long, hours(r.Short), short, r.Factor, events),
				fmt.Sprintf("burn rate = bad ÷ all ÷ (1 − %v); bad: waited longer than %s, or an error of Spillway%s", b.objective.Target, span(b.objective.Wait), latencyText(b.objective.Latency)),
				fmt.Sprintf("of the budget of %s, %s is used: %.0f bad of %.0f, %s of the window seen", hours(b.objective.Window), percent(stat.Used), stat.Bad, stat.All, span(stat.Seen)),
			}
			found = append(found, s)
			break // the fastest burn says it all
		}
	}
	return found
}

func latencyText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return ", or took longer than " + span(d)
}

func ratioText(r float64) string { return fmt.Sprintf("%.6g %%", r*100) }

// hours writes a window as Prometheus does.
func hours(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
