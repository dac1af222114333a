package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/proxy"
)

// Health is how the proxy fares. It must answer without waiting.
type Health interface {
	// Alive reports whether the event loops turn.
	Alive() bool
	// Serving reports whether listeners accept and nothing drains.
	Serving() bool
}

// Control is what the API may ask of the process.
type Control interface {
	// Reload reads the config file again; notes tell what needs a restart.
	// After an error nothing has changed.
	Reload(ctx context.Context) (notes []string, err error)
	// LastReload tells when the config was last read, and how that went.
	LastReload() (at time.Time, err error)
	// Shutdown begins a shutdown and returns at once. mode is immediate,
	// wait_for_servers or wait_for_clients.
	Shutdown(mode string) error
}

// Build says what is running.
type Build struct {
	Version, Revision string
}

// Finding is something wrong, as the page shows it.
type Finding struct {
	Page    bool // somebody is to be woken
	Summary string
	Since   time.Time
	Runbook string // what to do
}

// Config is what a Server is made of.
type Config struct {
	Listen    string   // host:port of the admin address; "" = none
	ReusePort bool     // SO_REUSEPORT, for take-over by a second process
	Socket    string   // path of the unix socket; "" = none
	Names     []string // host names of the admin address besides IP addresses and localhost
	Token     string   // bearer token of an admin over TCP; "" = none
	Grants    Grants   // who else may act; Admit replaces them

	// Findings are what is wrong now, the worst first, for the page; may be nil. It
	// does not wait.
	Findings func() []Finding
	Facts    proxy.Facts
	Verbs    proxy.Verbs
	Health   Health
	Control  Control
	Build    Build
	Routes   []Route                // of other rooms
	Metrics  []prometheus.Collector // of other rooms
	// Note puts into the record which verb was asked by whom; may be nil. It does
	// not wait for a disk.
	Note func(ctx context.Context, kind string, body any) error
	Log  *slog.Logger
}

// Server serves the admin address and socket. Safe from any goroutine.
type Server struct {
	config   Config
	guard    *guard
	template *template.Template
	http     *http.Server

	mu        sync.Mutex
	listeners []net.Listener // guarded by mu
	serving   sync.WaitGroup
	started   bool // guarded by mu
}

// Times and sizes of the server.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second // verbs that wait extend it
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10 // bytes
	maxBody       = 64 << 10 // bytes
	factsTimeout  = 5 * time.Second
)

// New makes a server; it opens nothing.
func New(c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Facts = newPatience(c.Facts)
	s := &Server{config: c, guard: newGuard(c)}
	var err error
	if s.template, err = parsePage(); err != nil {
		return nil, fmt.Errorf("make admin server: %w", err)
	}
	handler, err := s.routes()
	if err != nil {
		return nil, fmt.Errorf("make admin server: %w", err)
	}
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withOrigin,
		ConnState:         noteState,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Start opens address and socket and serves. On an error nothing is left open.
// A server is started once.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return errors.New("start admin server: it was started before")
	}
	s.started = true
	for _, open := range []func() (net.Listener, error){s.listenTCP, s.listenUnix} {
		listener, err := open()
		if err != nil {
			for _, l := range s.listeners {
				l.Close()
			}
			s.listeners = nil
			return fmt.Errorf("start admin server: %w", err)
		}
		if listener != nil {
			s.listeners = append(s.listeners, listener)
		}
	}
	for _, l := range s.listeners {
		s.serving.Go(func() { s.serve(l) })
	}
	return nil
}

func (s *Server) serve(l net.Listener) {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.config.Log.Error("admin server stopped", "address", l.Addr().String(), "error", err)
	}
}

// Stop takes no more requests, waits for those that run until ctx ends, then
// cuts them off. It may be called at any time, also twice.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop admin server: %w", err), s.http.Close())
	}
	s.serving.Wait()
	s.listeners = nil
	return err
}

// Addr is the address TCP is served on, nil when there is none.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if l.Addr().Network() == "tcp" {
			return l.Addr()
		}
	}
	return nil
}

func (s *Server) listenTCP() (net.Listener, error) {
	if s.config.Listen == "" {
		return nil, nil
	}
	lc := net.ListenConfig{}
	if s.config.ReusePort {
		lc.Control = reusePort
	}
	l, err := lc.Listen(context.Background(), "tcp", s.config.Listen)
	if err != nil {
		return nil, err
	}
	return limitConns(l, maxConns, maxConnsEach), nil
}

func (s *Server) listenUnix() (net.Listener, error) {
	if s.config.Socket == "" {
		return nil, nil
	}
	l, err := listenPrivate(s.config.Socket)
	if err == nil && len(s.guard.grants.Load().Peers) > 0 {
		if err = os.Chmod(s.config.Socket, socketMode(1)); err != nil {
			l.Close()
		}
	}
	if err != nil {
		return nil, err
	}
	return limitConns(l, maxConns, maxConns), nil
}
