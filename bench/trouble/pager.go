package main

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// pager is the endpoint of alarms. While it hangs it takes connections and
// requests and never answers.
type pager struct {
	server  *http.Server
	address string

	mu      sync.Mutex
	hanging chan struct{} // closed when it answers again; nil while it does; guarded by mu
	asked   int           // guarded by mu
}

func startPager() (*pager, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &pager{address: listener.Addr().String()}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(listener) }() // ends with close
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	p.mu.Lock()
	p.asked++
	hanging := p.hanging
	p.mu.Unlock()
	if hanging != nil {
		select {
		case <-hanging:
		case <-r.Context().Done(): // who asked has given up
			return
		}
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"success"}`) // who asked may be gone
}

func (p *pager) hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hanging, p.asked = make(chan struct{}), 0
}

// answer lets it answer again, and says how often it was asked while it hung.
func (p *pager) answer() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hanging != nil {
		close(p.hanging)
		p.hanging = nil
	}
	return p.asked
}

func (p *pager) close() error {
	p.answer()
	return p.server.Close()
}
