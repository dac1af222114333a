package node

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/config"
	"spillway/internal/job"
	"spillway/internal/web"
)

// What the command line says about jobs; it reaches the room through these.
type (
	JobOrder   = job.Order
	JobOutcome = job.Outcome
	JobState   = job.State
)

// JobSkipped is how a run ended that did not begin.
const JobSkipped = job.Skipped

// RunJob runs an order; see job.Run.
func RunJob(ctx context.Context, o JobOrder) (JobOutcome, error) { return job.Run(ctx, o) }

// ListJobs are the jobs of one database.
func ListJobs(ctx context.Context, server *pgx.ConnConfig) ([]JobState, error) {
	return (&job.Room{Server: server}).Jobs(ctx)
}

// ForgetJob drops a job of one database; see job.Room.
func ForgetJob(ctx context.Context, server *pgx.ConnConfig, name string) error {
	return (&job.Room{Server: server}).Forget(ctx, name)
}

// JobLogin is how to log in to a database given as a URL, libpq's environment
// included.
func JobLogin(url string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read url: %w", err)
	}
	return c, nil
}

// JobServer is where the lease of a job is: the server and database that jobs.NAME
// names, or the maintenance login of the server, or of the only one.
func JobServer(c *config.Config, server, name string) (*pgx.ConnConfig, error) {
	database := ""
	if j := c.Jobs[name]; j != nil && (server == "" || server == j.Server) {
		server, database = j.Server, j.Database
	}
	names := slices.Sorted(maps.Keys(c.Servers))
	if server == "" && len(names) == 1 {
		server = names[0]
	}
	up := c.Policy().Upstreams[server]
	switch {
	case up == nil && server == "":
		return nil, fmt.Errorf("the config has several servers, give one with --server: %v", names)
	case up == nil:
		return nil, fmt.Errorf("there is no server %q; servers are %v", server, names)
	}
	return maintenance(up, database)
}

// joinJob brings the watch over jobs and their list; running them is the command's.
func joinJob(s *seam) (joint, error) {
	d := newJobDesk(s)
	return joint{
		services: []service{{"jobs", d.start, d.stop}},
		routes: []web.Route{{Method: http.MethodGet, Path: "jobs", Answer: func(ctx context.Context, _ *web.Ask) (any, error) {
			return d.list(ctx), nil
		}}},
		metrics: jobMetrics(d),
		apply:   d.keep,
	}, nil
}

// jobPlace is a database whose jobs are watched.
type jobPlace struct{ server, database string }

func (p jobPlace) String() string {
	if p.database == "" {
		return p.server
	}
	return p.server + "/" + p.database
}

// jobPlaces are the databases of a config that may hold jobs, each with what is
// expected of them.
func jobPlaces(c *config.Config) map[jobPlace][]job.Expect {
	places := map[jobPlace][]job.Expect{}
	for name := range c.Servers {
		places[jobPlace{server: name}] = nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Jobs)) {
		j := c.Jobs[name]
		at := jobPlace{j.Server, j.Database}
		if up := c.Policy().Upstreams[j.Server]; up != nil && up.Database == j.Database {
			at.database = "" // the server's own
		}
		places[at] = append(places[at], job.Expect{Name: name, Every: j.Every, Deadline: j.Deadline, Failures: j.Failures})
	}
	return places
}

// jobsOf is one job in the API's answer.
type jobsOf struct {
	Server   string `json:"server"`
	Database string `json:"database,omitempty"` // "" is that of the server's url
	JobState
}

// jobsWait bounds how long one database is asked.
const jobsWait = 5 * time.Second

// list asks every place now.
func (d *jobDesk) list(ctx context.Context) map[string]any {
	c, since := d.holds()
	items, problems := []jobsOf{}, []string{}
	places := jobPlaces(c)
	for _, at := range slices.SortedFunc(maps.Keys(places), comparePlaces) {
		states, err := at.ask(ctx, c, places[at], since)
		if err != nil {
			problems = append(problems, fmt.Sprintf("server %s: %v", at, err))
		}
		for _, state := range states {
			items = append(items, jobsOf{at.server, at.database, state})
		}
	}
	return map[string]any{"at": time.Now(), "items": items, "problems": problems}
}

// ask reads the jobs of one place.
func (p jobPlace) ask(ctx context.Context, c *config.Config, expect []job.Expect, since time.Time) ([]JobState, error) {
	up := c.Policy().Upstreams[p.server]
	if up == nil {
		return nil, nil
	}
	login, err := maintenance(up, p.database)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, jobsWait)
	defer cancel()
	return (&job.Room{Server: login, Expect: expect, Since: since}).Jobs(ctx)
}
