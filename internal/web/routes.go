package web

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// routes joins every path to its handler, within the guards all share.
func (s *Server) routes() (http.Handler, error) {
	metrics, err := s.metrics()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	for _, path := range []string{"/livez", "/-/healthy"} {
		mux.HandleFunc("GET "+path, s.livez)
	}
	for _, path := range []string{"/readyz", "/-/ready"} {
		mux.HandleFunc("GET "+path, s.readyz)
	}
	for name, read := range s.facts() {
		mux.HandleFunc("GET /api/v1/"+name, s.show(name, read))
	}
	for name, verb := range s.verbs() {
		mux.HandleFunc("POST /api/v1/"+name, s.act(name, verb))
	}
	s.extend(mux)
	mux.HandleFunc("POST /-/reload", s.act("reload", s.reload))
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /style.css", style)
	mux.HandleFunc("/", unknown)
	return secured(s.guard.host(sameOrigin(s.guard.door(mux, s.public(mux))))), nil
}

// metrics is the /metrics handler over a registry of its own.
func (s *Server) metrics() (http.Handler, error) {
	registry := prometheus.NewRegistry()
	all := []prometheus.Collector{
		newCollector(s.config),
		newWorkloadCollector(s.config),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
	for _, c := range append(all, s.config.Metrics...) {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	// Scrapes at a time share one gathering; it asks the loops, too.
	gathering := &batch[[]*dto.MetricFamily]{
		gate: newGate(),
		read: func(context.Context) ([]*dto.MetricFamily, error) { return registry.Gather() },
	}
	gather := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*factsTimeout)
		defer cancel()
		return gathering.get(ctx)
	})
	return whole(promhttp.HandlerFor(gather, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorHandling:     promhttp.ContinueOnError, // what is right is shown
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelError),
	})), nil
}

// whole runs a handler to its end before anything goes to the client, so that
// nothing the handler holds waits for one that reads slowly.
func whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept := &keptAnswer{header: w.Header()}
		next.ServeHTTP(kept, r)
		if kept.status != 0 {
			w.WriteHeader(kept.status)
		}
		_, _ = w.Write(kept.body.Bytes()) // a client that has gone is nobody's problem
	})
}

// keptAnswer is a ResponseWriter in memory.
type keptAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *keptAnswer) Header() http.Header         { return k.header }
func (k *keptAnswer) Write(b []byte) (int, error) { return k.body.Write(b) }
func (k *keptAnswer) WriteHeader(status int) {
	if k.status == 0 {
		k.status = status
	}
}

// contentPolicy lets a page load this server's own style sheet and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// sameOrigin refuses what a page of another origin makes a browser send, but for
// reading: such a page cannot see the answer, and must not bring anything about.
// Monitors and commands are no browsers and say no origin.
func sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turnAway(w, r, &problem{http.StatusForbidden, "a page of another origin may not ask for this", ""})
	}))
	return protection.Handler(next)
}

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", contentPolicy)
		next.ServeHTTP(w, r)
	})
}

func unknown(w http.ResponseWriter, r *http.Request) {
	refuse(w, http.StatusNotFound, "there is nothing at this path, or not by "+r.Method, "See /, /metrics, /readyz?verbose and /api/v1/pools.")
}
