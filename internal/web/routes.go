package web

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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
	return s.guard.host(s.guard.door(secured(mux), s.public(mux))), nil
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
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError, // what is right is shown
		ErrorLog:            slog.NewLogLogger(s.config.Log.Handler(), slog.LevelError),
		MaxRequestsInFlight: 4,
		Timeout:             writeTimeout,
	}), nil
}

// contentPolicy lets a page load this server's own style sheet and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

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
