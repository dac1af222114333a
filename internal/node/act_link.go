package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/proxy"
)

// lines are the connections that actions keep open, one to each server: when
// everything there is taken a new login is what fails first.
type lines struct {
	*seam
	life context.Context
	end  context.CancelFunc
	done sync.WaitGroup

	mu  sync.Mutex
	all map[string]*line // guarded by mu; by server
}

// line is one of them.
type line struct {
	turn chan struct{} // holds a token: whoever has it uses what follows
	conn *pgx.Conn     // nil: none is open
	made string        // how it was logged in
	used time.Time
}

// Times of lines.
const (
	lineEvery = 30 * time.Second // between looks whether they are open
	lineWait  = 5 * time.Second  // for one to open, or to answer
	lineFresh = time.Second      // used that lately it is believed to be open
)

func newLines(s *seam) *lines {
	l := &lines{seam: s, all: map[string]*line{}}
	l.life, l.end = context.WithCancel(context.Background())
	return l
}

func (l *lines) start() error {
	l.done.Go(l.keep)
	return nil
}

func (l *lines) stop(ctx context.Context) error {
	l.end()
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		select {
		case one.turn <- struct{}{}:
			one.close(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// keep opens what is not open, so that it is before the day it is needed.
func (l *lines) keep() {
	failing := map[string]bool{}
	for {
		absent := l.absent()
		for name := range l.current().Policy().Upstreams {
			if absent[name] {
				continue // one prober is enough
			}
			err := l.with(l.life, name, func(*pgx.Conn) error { return nil })
			if err != nil && !failing[name] && l.life.Err() == nil {
				l.log.Warn("no connection is kept for actions; `spillway kill --direct` may not get one when it matters", "server", name, "error", err)
			}
			failing[name] = err != nil
		}
		select {
		case <-time.After(lineEvery):
		case <-l.life.Done():
			return
		}
	}
}

// absent are the servers that the proxy's breaker has given up for now.
func (l *lines) absent() map[string]bool {
	ctx, cancel := context.WithTimeout(l.life, lineWait)
	defer cancel()
	ups, err := l.hot.Upstreams(ctx)
	if err != nil {
		return nil
	}
	names := map[string]bool{}
	for _, u := range ups {
		names[u.Name] = u.Breaker == "open"
	}
	return names
}

// with lends the server's connection to do, opened anew when it is dead.
func (l *lines) with(ctx context.Context, server string, do func(*pgx.Conn) error) error {
	up := l.current().Policy().Upstreams[server]
	if up == nil {
		return fmt.Errorf("there is no server %q", server)
	}
	one := l.of(server)
	select {
	case one.turn <- struct{}{}:
		defer func() { <-one.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the connection to server %s: %w", server, ctx.Err())
	}
	if err := one.open(ctx, up); err != nil {
		return err
	}
	defer func() { one.used = time.Now() }()
	return do(one.conn)
}

func (l *lines) of(server string) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.all[server]
	if one == nil {
		one = &line{turn: make(chan struct{}, 1)}
		l.all[server] = one
	}
	return one
}

// open makes sure of a connection; the caller has the turn.
func (k *line) open(ctx context.Context, up *proxy.Upstream) error {
	ctx, cancel := context.WithTimeout(ctx, lineWait)
	defer cancel()
	made := fmt.Sprint(up.Hosts, up.User, up.Password, up.Database, up.TLSMode)
	if k.conn != nil && (k.made != made || !k.answers(ctx)) {
		k.close(ctx)
	}
	if k.conn != nil {
		return nil
	}
	login, err := maintenance(up, "")
	if err != nil {
		return err
	}
	login.RuntimeParams["application_name"] = ownName
	login.DefaultQueryExecMode = pgx.QueryExecModeExec
	if k.conn, err = pgx.ConnectConfig(ctx, login); err != nil {
		k.conn = nil
		return fmt.Errorf("log in to server %s: %w", up.Name, err)
	}
	k.made = made
	return nil
}

func (k *line) answers(ctx context.Context) bool {
	return !k.conn.IsClosed() && (time.Since(k.used) < lineFresh || k.conn.Ping(ctx) == nil)
}

func (k *line) close(ctx context.Context) {
	if k.conn != nil {
		_ = k.conn.Close(ctx) // it may be dead already
		k.conn = nil
	}
}

// ownName is how the sessions of actions call themselves.
const ownName = "spillway act"
