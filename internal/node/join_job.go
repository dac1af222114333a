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
	JobOverlap = job.Overlap
	JobState   = job.State
)

// How a job's run may have ended, as far as a command tells them apart.
const (
	JobDone    = job.Done
	JobSkipped = job.Skipped
)

// RunJob runs an order; see job.Run.
func RunJob(ctx context.Context, o JobOrder) (JobOutcome, error) { return job.Run(ctx, o) }

// JobServer is where the leases are: url if it is given, else the named server
// of the config, over its maintenance login.
func JobServer(url string, load func() (*config.Config, error), server string) (*pgx.ConnConfig, error) {
	if url != "" {
		c, err := pgx.ParseConfig(url)
		if err != nil {
			return nil, fmt.Errorf("read url: %w", err)
		}
		return c, nil
	}
	c, err := load()
	if err != nil {
		return nil, fmt.Errorf("find the server (or give it with --url): %w", err)
	}
	names := slices.Sorted(maps.Keys(c.Servers))
	if server == "" && len(names) == 1 {
		server = names[0]
	}
	up := c.Policy().Upstreams[server]
	if up == nil {
		return nil, fmt.Errorf("there is no server %q; servers are %v", server, names)
	}
	return maintenance(up, "")
}

// ListJobs are the jobs of one database.
func ListJobs(ctx context.Context, server *pgx.ConnConfig) ([]JobState, error) {
	return (&job.Room{Server: server}).Jobs(ctx)
}

// jobsOf is one server's jobs in the API's answer.
type jobsOf struct {
	Server string `json:"server"`
	JobState
}

// jobsWait bounds how long one server is asked.
const jobsWait = 5 * time.Second

// joinJob brings the list of jobs; running them is the command's.
func joinJob(s *seam) (joint, error) {
	return joint{routes: []web.Route{{Method: http.MethodGet, Path: "jobs", Answer: func(ctx context.Context, _ *web.Ask) (any, error) {
		c := s.node.setupNow().config
		items, problems := []jobsOf{}, []string{}
		for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
			states, err := listJobsOf(ctx, c, name)
			if err != nil {
				problems = append(problems, fmt.Sprintf("server %s: %v", name, err))
			}
			for _, state := range states {
				items = append(items, jobsOf{name, state})
			}
		}
		return map[string]any{"at": time.Now(), "items": items, "problems": problems}, nil
	}}}}, nil
}

func listJobsOf(ctx context.Context, c *config.Config, server string) ([]JobState, error) {
	up := c.Policy().Upstreams[server]
	if up == nil {
		return nil, nil
	}
	login, err := maintenance(up, "")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, jobsWait)
	defer cancel()
	return ListJobs(ctx, login)
}
