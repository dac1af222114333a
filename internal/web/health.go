package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"spillway/internal/proxy"
)

// livez is about the event loops alone: a database or a peer that is down must
// not make a supervisor restart the pooler.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	if !s.config.Health.Alive() {
		writeText(w, http.StatusServiceUnavailable, "an event loop does not turn\n")
		return
	}
	writeText(w, http.StatusOK, "ok\n")
}

// check is one thing readiness depends on; detail says more either way.
type check struct {
	Name   string
	OK     bool
	Detail string
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), factsTimeout)
	defer cancel()
	checks := s.checks(ctx)
	status, verdict := http.StatusOK, "ready"
	var lines strings.Builder
	for _, c := range checks {
		mark := "+"
		if !c.OK {
			mark = "-"
			status, verdict = http.StatusServiceUnavailable, "not ready"
		}
		fmt.Fprintf(&lines, "[%s]%s %s\n", mark, c.Name, c.Detail)
	}
	text := verdict + "\n"
	if r.URL.Query().Has("verbose") || status != http.StatusOK {
		text = lines.String() + text
	}
	writeText(w, status, text)
}

// checks are those of readiness. A server that cannot be reached is none of
// them: clients wait for it in the queue, where they are told why.
func (s *Server) checks(ctx context.Context) []check {
	serving := check{"listener", s.config.Health.Serving(), "accepts clients"}
	gauges, err := s.config.Facts.Gauges(ctx)
	if err != nil {
		return []check{serving, {"loops", false, "do not answer: " + err.Error()}}
	}
	draining := gauges.State == "draining"
	if !serving.OK {
		serving.Detail = "does not accept clients"
	}
	drain := check{"drain", !draining, "not draining"}
	if draining {
		drain.Detail = "draining: finishing transactions"
	}
	return []check{serving, s.configCheck(), drain, s.poolCheck(ctx)}
}

// configCheck holds while any config is in force: a bad file changes nothing,
// so it is told of and does not take the node out of service.
func (s *Server) configCheck() check {
	at, err := s.config.Control.LastReload()
	switch {
	case at.IsZero():
		return check{"config", false, "not loaded yet"}
	case err != nil:
		return check{"config", true, "the last reload failed, the config before it is in force"}
	}
	return check{"config", true, "loaded " + at.UTC().Format("2006-01-02T15:04:05Z")}
}

// poolCheck wants one database that clients may use; one paused on purpose
// counts, as its clients are to wait here.
func (s *Server) poolCheck(ctx context.Context) check {
	databases, err := s.config.Facts.Databases(ctx)
	if err != nil {
		return check{"pools", false, "unknown: " + err.Error()}
	}
	var serving, paused, disabled int
	for _, d := range databases {
		switch {
		case d.Disabled:
			disabled++
		case d.Paused:
			paused++
		default:
			serving++
		}
	}
	detail := fmt.Sprintf("%d serving, %d paused, %d disabled", serving, paused, disabled)
	if len(databases) == 0 {
		detail = "none yet: they come with their clients"
	}
	return check{"pools", serving+paused > 0 || len(databases) == 0, detail + s.outage(ctx)}
}

// outage names what is down, for whoever reads; it fails nothing.
func (s *Server) outage(ctx context.Context) string {
	upstreams, err := s.config.Facts.Upstreams(ctx)
	if err != nil {
		return ""
	}
	var down []string
	for _, u := range upstreams {
		if !upstreamUp(u) {
			down = append(down, u.Name)
		}
	}
	if len(down) == 0 {
		return ""
	}
	return "; cannot reach " + strings.Join(down, ", ") + " (clients wait)"
}

func upstreamUp(u proxy.UpstreamStat) bool { return u.Breaker == "" || u.Breaker == "closed" }

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
