package sweep

import (
	"fmt"

	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/run"
)

// Bounds of the judgement whether a table outgrows its sweep.
const (
	// lead is how much faster than λ a sweep must delete: below it the backlog
	// hardly shrinks.
	lead = 1.1
	// windows is over how many runs that must hold.
	windows = 3
)

// Growth is how a table's arrivals and its sweep compare: a fact, from which a
// detector makes a finding.
type Growth struct {
	Server    string  `json:"server,omitempty"`
	Database  string  `json:"database"`
	Table     string  `json:"table"`
	Condition string  `json:"condition"`
	Name      string  `json:"name,omitempty"`
	Lambda    float64 `json:"lambda"`  // rows that become doomed a second, in the last run's time
	Mu        float64 `json:"mu"`      // rows deleted a second of the last run's time, rests included
	Backlog   float64 `json:"backlog"` // doomed when the last run began
	Left      float64 `json:"left"`    // when it ended, or now
	Runs      int     `json:"runs"`    // looked at
	Behind    int     `json:"behind"`  // runs in a row, the last included, with μ ≤ 1.1 λ
	Grows     int     `json:"grows"`   // runs in a row whose backlog was larger than the one before
	Outgrown  bool    `json:"outgrown"`
	Text      string  `json:"text"` // one sentence
}

type growths []Growth

// growth judges every table of one database by its sweeps, newest first.
func growth(history []run.Sweep) growths {
	var order []string
	by := map[string][]run.Sweep{}
	for _, s := range history {
		key := s.Table + "\x00" + s.Job.Order.Where
		if by[key] == nil {
			order = append(order, key)
		}
		by[key] = append(by[key], s)
	}
	all := make(growths, 0, len(order))
	for _, key := range order {
		all = append(all, judge(by[key]))
	}
	return all
}

// judge compares the runs over one table and condition, newest first.
func judge(runs []run.Sweep) Growth {
	last := &runs[0]
	g := Growth{Database: last.Database, Table: last.Table, Condition: last.Job.Order.Where, Name: last.Name, Runs: len(runs),
		Backlog: last.Backlog, Left: last.Left(), Lambda: last.Job.Lambda, Mu: mu(last)}
	behind, grows := true, true
	for i := 0; i+1 < len(runs); i++ {
		newer, older := &runs[i], &runs[i+1]
		l, known := lambda(newer, older)
		if !known {
			break
		}
		if i == 0 {
			g.Lambda = l
		}
		// A run that did away with all it found in time is not behind.
		behind = behind && mu(newer) > 0 && mu(newer) <= lead*l
		grows = grows && newer.Backlog > older.Backlog && older.Left() > 0
		if behind {
			g.Behind++
		}
		if grows {
			g.Grows++
		}
	}
	g.Outgrown = g.Behind >= windows || g.Grows >= 2
	return g.say()
}

// say puts the judgement into words.
func (g Growth) say() Growth {
	g.Text = fmt.Sprintf("%s gets %.4g doomed rows a second and its sweep deletes %.4g", g.Table, g.Lambda, g.Mu)
	if g.Outgrown {
		g.Text += ": the table outgrows its sweep"
	}
	return g
}

// weigh judges a sweep that is under way by what has come since its cut-off,
// which it will not delete. A sweep that never ends has no next run to be
// compared with.
func weigh(s *run.Sweep, arrivals float64, behind int) Growth {
	g := judge([]run.Sweep{*s})
	g.Lambda = arrivals
	if g.Mu > lead*arrivals || arrivals <= 0 {
		behind = -1
	}
	g.Behind = behind + 1
	g.Outgrown = g.Behind >= windows
	return g.say()
}

// lambda is what came between two runs, by the backlog that each found.
func lambda(newer, older *run.Sweep) (float64, bool) {
	between := newer.Cutoff.Sub(older.Cutoff).Seconds()
	if between <= 0 {
		return 0, false
	}
	// The count deleted is exact where the backlog at the start is an estimate.
	found := newer.Backlog
	if newer.Phase == run.Done {
		found = float64(newer.Deleted)
	}
	return max(found-older.Left(), 0) / between, true
}

// mu is how fast a run deletes, by the calendar: brakes, shut windows and rests
// are part of what it can do.
func mu(s *run.Sweep) float64 {
	end := s.Beat
	if s.Ended != nil {
		end = *s.Ended
	}
	if took := end.Sub(s.Created).Seconds(); took > 0 {
		return float64(s.Deleted) / took
	}
	return 0
}

// tell puts what earlier sweeps measured in place of the plan's estimates.
func (all growths) tell(p *plan.Plan) {
	for _, g := range all {
		if g.Table != p.Table.Ident() || g.Condition != p.Order.Where {
			continue
		}
		if g.Runs > 1 {
			p.Lambda, p.LambdaHow = g.Lambda, "what came between the last two sweeps"
		}
		if g.Mu > 0 && g.Backlog > 0 {
			p.Mu = g.Mu
		}
		if g.Outgrown {
			p.Warnings = append(p.Warnings, g.Text)
		}
	}
}
