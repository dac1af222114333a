package gauge

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/drill/load"
	"spillway/internal/drill/outcome"
)

func TestRoles(t *testing.T) {
	for title, want := range map[string]string{
		"postgres: api app 127.0.0.1(4711) idle":                       "api",
		"postgres: worker app 127.0.0.1(4711) idle in transaction\x00": "worker",
		"postgres: worker app [local] SELECT":                          "worker",
		"postgres: worker app 127.0.0.1(4711) authentication":          "worker",
		"postgres: worker app 127.0.0.1(4711) initializing":            "",
		"postgres: autovacuum launcher ":                               "",
		"postgres: checkpointer ":                                      "",
		"postgres: parallel worker for PID 123 ":                       "",
		"/usr/lib/postgresql/15/bin/postgres\x00-D\x00/tmp/x":          "",
		"postgres: walwriter\x00\x00\x00\x00":                          "",
	} {
		if got, idle := roleOf(title); got != want || idle != strings.Contains(title, " idle") {
			t.Errorf("%q is of %q, want %q", title, got, want)
		}
	}
}

func TestRecovered(t *testing.T) {
	good, wrong := outcome.Second{OK: 60}, outcome.Second{Failed: 60}
	hardly := outcome.Second{OK: 500, Failed: 1}
	tests := map[string]struct {
		seconds []outcome.Second
		want    float64 // -1: never
	}{
		"no outage":            {[]outcome.Second{good, good, good, hardly, good}, 0},
		"bad before only":      {[]outcome.Second{wrong, good, good, good, good}, 0},
		"two seconds":          {[]outcome.Second{good, wrong, wrong, good, good}, 2},
		"good in between":      {[]outcome.Second{good, wrong, good, wrong, good}, 3},
		"still bad at the end": {[]outcome.Second{good, wrong, wrong, wrong, wrong}, -1},
	}
	for name, test := range tests {
		got := recovered(test.seconds, Window{FaultAt: 1, End: 5})
		if test.want < 0 && got == nil {
			continue
		}
		if got == nil || *got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestSums(t *testing.T) {
	g := New()
	at := func(s float64) time.Time { return g.Moment(s) }
	for i := range 100 {
		s := load.Shot{Due: at(float64(i) / 10), Took: time.Duration(i) * time.Millisecond}
		if i >= 60 {
			s.Err = &pgconn.PgError{Severity: "FATAL", Code: "53300", Message: "too many"}
		}
		if i == 99 {
			s.Err = &pgconn.PgError{Code: "57P01"}
		}
		g.Shot(s)
	}
	g.Look(load.Look{At: at(6), Took: time.Second, Said: "celery|80"})
	g.Look(load.Look{At: at(7), Err: errors.New("psql: too many")})
	g.Look(load.Look{At: at(9.5)}) // after the fault
	side := g.Side("bare", Window{FaultAt: 4.95, FaultEnd: 9, End: 10})
	f := side.Figures
	if f.Requests != 50 || f.Failed != 40 || f.Availability != 0.2 || f.SteadyFailed != 0 || f.WrongKills != 1 {
		t.Errorf("requests %+v", f)
	}
	if f.OperatorTries != 2 || f.OperatorIn != 1 || f.OperatorWorst != 1 {
		t.Errorf("operator %+v", f)
	}
	if f.P99 != 0.099 || f.SteadyP99 != 0.049 {
		t.Errorf("p99 %v, steady %v", f.P99, f.SteadyP99)
	}
	if len(side.Seconds) != 10 || side.Seconds[3].OK != 10 || side.Seconds[8].Failed != 10 {
		t.Errorf("seconds %+v", side.Seconds)
	}
	if len(side.Errors) != 2 || side.Errors[0].Code != "53300" || side.Errors[0].Count != 39 {
		t.Errorf("errors %+v", side.Errors)
	}
	if first, ok := g.FirstFailure(4.95); !ok || first < 6 || first > 6.1 {
		t.Errorf("first failure %v %v", first, ok)
	}
	restart := g.Side("bare", Window{FaultAt: 4.95, FaultEnd: 9, End: 10, Restart: true})
	if restart.Figures.WrongKills != 0 {
		t.Error("the restart's own end of sessions counts as a kill")
	}
}

func TestLines(t *testing.T) {
	g, cause := New(), Cause{Words: []string{"celery"}}
	const leak = `{"level":"WARN","msg":"leak: a client keeps a server idle","workload":"w","application":"APP","idle":"5s","sql":"select 1","on_leak":"RULE"}`
	replace := func(app, rule string) string {
		return strings.NewReplacer("APP", app, "RULE", rule).Replace(leak)
	}
	g.Line(cause, "not JSON")
	g.Line(cause, `{"msg":"ready"}`)
	g.Line(cause, replace("web", "warn"))
	if side := g.Side("guarded", Window{End: 1}); len(side.Events) != 0 {
		t.Errorf("events %+v", side.Events)
	}
	g.Line(cause, replace("celery-sync", "reclaim"))
	side := g.Side("guarded", Window{FaultEnd: 100, End: 100})
	if side.Figures.Named == nil || len(side.Events) != 2 || side.Events[0].Kind != "named" || side.Events[1].Kind != "action" {
		t.Errorf("named %v, events %+v", side.Figures.Named, side.Events)
	}
}

func TestBusiest(t *testing.T) {
	moments := []float64{0.1, 0.2, 0.3, 0.4, 5, 7.9, 5.5, 5.9, 6.1, 30}
	if n := busiest(moments, 1, 20); n != 3 {
		t.Errorf("busiest second has %d, want 3", n)
	}
	if n := busiest(nil, 0, 1); n != 0 {
		t.Errorf("%d of none", n)
	}
}

func TestServerLines(t *testing.T) {
	g := New()
	at := g.Moment(2).UTC().Format("2006-01-02 15:04:05.000 MST")
	for _, line := range []string{at + " [17] LOG:  connection received: host=127.0.0.1 port=4711", at + " [17] LOG:  connection authorized: user=api", "connection received: ", ""} {
		g.ServerLine(line)
	}
	if len(g.knocks) != 1 || g.knocks[0] < 1.9 || g.knocks[0] > 2.1 {
		t.Errorf("knocks %v", g.knocks)
	}
}
