package web

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Bounds on connections of one listener: they take descriptors from the proxy,
// and one caller must not keep health checks and operators out.
const (
	maxConns     = 128
	maxConnsEach = 64 // of one address, or one /64 of IPv6
)

// limited accepts while fewer than a number of its connections are open. When
// there is no room, the connection that has asked for nothing for longest gives
// way; where all are at work, the next one waits, or is closed if its own
// address has too many.
type limited struct {
	net.Listener
	most, each int

	mu     sync.Mutex
	room   sync.Cond            // one has closed, or the listener has
	open   map[*counted]bool    // guarded by mu
	of     map[netip.Prefix]int // guarded by mu; open ones by address
	closed bool                 // guarded by mu
}

func limitConns(l net.Listener, most, each int) net.Listener {
	m := &limited{Listener: l, most: most, each: each, open: map[*counted]bool{}, of: map[netip.Prefix]int{}}
	m.room.L = &m.mu
	return m
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &counted{Conn: conn, from: neighborhood(conn.RemoteAddr()), limit: l}
		ok, err := l.enter(c)
		if ok {
			return c, nil
		}
		conn.Close()
		if err != nil {
			return nil, err
		}
	}
}

// enter makes room for c, if it can be had.
func (l *limited) enter(c *counted) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[c.from] >= l.each && l.each < l.most {
		if !l.evict(func(o *counted) bool { return o.from == c.from }) {
			return false, nil
		}
	}
	for len(l.open) >= l.most && !l.closed {
		if !l.evict(func(*counted) bool { return true }) {
			l.room.Wait()
		}
	}
	if l.closed {
		return false, net.ErrClosed
	}
	l.open[c] = true
	l.of[c.from]++
	return true, nil
}

// evict closes the connection that has been idle for longest among those that
// may be; the caller holds mu.
func (l *limited) evict(may func(*counted) bool) bool {
	var victim *counted
	for c := range l.open {
		if !c.idle.IsZero() && may(c) && (victim == nil || c.idle.Before(victim.idle)) {
			victim = c
		}
	}
	if victim == nil {
		return false
	}
	l.forget(victim)
	victim.Conn.Close()
	return true
}

// forget gives a connection's place back, once; the caller holds mu.
func (l *limited) forget(c *counted) {
	if !l.open[c] {
		return
	}
	delete(l.open, c)
	if l.of[c.from]--; l.of[c.from] == 0 {
		delete(l.of, c.from)
	}
	l.room.Signal()
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.mu.Lock()
	l.closed = true
	l.room.Broadcast()
	l.mu.Unlock()
	return l.Listener.Close()
}

// counted gives its place back when closed.
type counted struct {
	net.Conn
	from  netip.Prefix
	limit *limited
	idle  time.Time // guarded by limit.mu; since when it asks for nothing; zero while it does
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.limit.mu.Lock()
	c.limit.forget(c)
	c.limit.mu.Unlock()
	return c.Conn.Close()
}

// noteState is told by net/http what becomes of a connection. One is new until
// its first request has come with all its headers.
func noteState(conn net.Conn, state http.ConnState) {
	c, ok := conn.(*counted)
	if !ok {
		return
	}
	c.limit.mu.Lock()
	defer c.limit.mu.Unlock()
	switch state {
	case http.StateNew, http.StateIdle:
		c.idle = time.Now()
		c.limit.room.Signal()
	case http.StateActive, http.StateHijacked, http.StateClosed:
		c.idle = time.Time{}
	}
}

// neighborhood is the address that connections are counted by.
func neighborhood(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
