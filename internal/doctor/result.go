package doctor

import (
	"context"
	"fmt"
	"time"
)

// Status is how something was found.
type Status string

// Statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn" // works, or nobody knows, but is worth a look
	Fail Status = "fail" // does not work
)

// Result is one look.
type Result struct {
	Status Status `json:"status"`
	Area   string `json:"area"`  // "server main", "files"
	Check  string `json:"check"` // "login 10.0.0.1:5432"
	Found  string `json:"found"`
	Mend   string `json:"mend,omitempty"`
}

// Report is everything that was looked at, in order.
type Report struct {
	At      time.Time `json:"at"`
	OK      int       `json:"ok"`
	Warn    int       `json:"warn"`
	Fail    int       `json:"fail"`
	Results []Result  `json:"results"`
}

// chart takes results as they come.
type chart struct {
	area    string
	results []Result
}

func (c *chart) add(status Status, check, mend, found string, values ...any) {
	if status == OK {
		mend = ""
	}
	c.results = append(c.results, Result{status, c.area, check, fmt.Sprintf(found, values...), mend})
}

// Run looks at everything of the plan. tell hears of each area as it is done;
// nil for nobody.
func Run(ctx context.Context, p Plan, tell func([]Result)) Report {
	r := Report{At: time.Now()}
	take := func(c *chart) {
		for _, one := range c.results {
			switch one.Status {
			case OK:
				r.OK++
			case Warn:
				r.Warn++
			case Fail:
				r.Fail++
			}
		}
		r.Results = append(r.Results, c.results...)
		if tell != nil {
			tell(c.results)
		}
	}
	take(p.machine())
	take(p.files())
	take(p.ports(ctx))
	for i := range p.Servers {
		take(p.Servers[i].examine(ctx))
	}
	for i := range p.Databases {
		take(p.Databases[i].examine(ctx))
	}
	take(p.alarms(ctx))
	return r
}
