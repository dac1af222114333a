package web

import (
	"context"
	"net/http"
	"time"
)

// listing is the answer to every GET of the API: At is when it was read, so
// that a reader can tell how old each number is.
type listing struct {
	At    time.Time `json:"at"`
	Items any       `json:"items"`
}

type reading func(ctx context.Context) (any, error)

// facts are the proxy's snapshots by their name in the API.
func (s *Server) facts() map[string]reading {
	f := s.config.Facts
	return map[string]reading{
		"pools":     read(f.Pools, poolView),
		"clients":   read(f.Clients, connView),
		"servers":   read(f.Servers, connView),
		"databases": read(f.Databases, databaseView),
		"users":     read(f.UserStats, userView),
		"upstreams": read(f.Upstreams, upstreamView),
		"workloads": read(f.Workloads, workloadView),
		"stats":     read(f.Stats, periodView),
		"dns":       read(f.DNS, dnsView),
		"state": func(ctx context.Context) (any, error) {
			gauges, err := f.Gauges(ctx)
			return s.stateView(gauges), err
		},
	}
}

// read turns a snapshot into its view; an empty one is an empty array.
func read[Stat, View any](from func(context.Context) ([]Stat, error), view func(Stat) View) reading {
	return func(ctx context.Context) (any, error) {
		stats, err := from(ctx)
		views := make([]View, len(stats))
		for i, s := range stats {
			views[i] = view(s)
		}
		return views, err
	}
}

func (s *Server) show(name string, read reading) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), factsTimeout)
		defer cancel()
		at := time.Now()
		items, err := read(ctx)
		if err != nil {
			s.config.Log.Warn("facts not read", "facts", name, "error", err)
			refuse(w, http.StatusServiceUnavailable, "the event loops did not answer in time", "See /livez.")
			return
		}
		writeJSON(w, http.StatusOK, listing{at, items})
	}
}
