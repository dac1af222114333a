package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// idleCells measure the resident memory of clients that are logged in, have
// run one query, and wait.
func idleCells(o options) []Cell {
	return []Cell{{
		Name:   fmt.Sprintf("idle/%d/plain", o.idle),
		Family: fmt.Sprintf("Resident memory per idle client, at %d clients", o.idle),
		Goal:   Goal{IdleBytes: 0.5},
		Cannot: func(p *contender) string {
			if p.Proxy == nil {
				return "no pooler"
			}
			return ""
		},
		Run: func(ctx context.Context, r *rig, p *contender) (s Sample, err error) {
			// One of its own: a pooler that had as many clients before has the pages.
			fresh, err := r.startContender(p.Name)
			if err != nil {
				return s, err
			}
			defer func() { err = errors.Join(err, fresh.Close()) }()
			return measureIdle(ctx, fresh, o.idle)
		},
	}}
}

// settle is how long memory may take to come to rest before it is read; the
// Go runtime and malloc give pages back with a delay.
const settle = 3 * time.Second

func measureIdle(ctx context.Context, p *contender, n int) (Sample, error) {
	// Pages touched by the first clients ever are not these clients' cost.
	if err := withIdle(ctx, p, 100, func() error { return nil }); err != nil {
		return Sample{}, err
	}
	before, err := settled(ctx, p)
	if err != nil {
		return Sample{}, err
	}
	var after float64
	err = withIdle(ctx, p, n, func() error {
		after, err = settled(ctx, p)
		return err
	})
	return Sample{IdleKB: (after - before) / float64(n), Count: n}, err
}

func settled(ctx context.Context, p *contender) (float64, error) {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return residentKB(p.PID())
}

// residentKB reads the resident set from smaps_rollup, which counts pages;
// VmRSS of status is only nearly right.
func residentKB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if w := strings.Fields(line); len(w) > 1 && w[0] == "Rss:" {
			return strconv.ParseFloat(w[1], 64)
		}
	}
	return 0, errors.New("read memory: no Rss line")
}

// withIdle holds n clients open while then runs.
func withIdle(ctx context.Context, p *contender, n int, then func() error) error {
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range n {
		c, err := openIdle(ctx, p.Addr())
		if err != nil {
			return fmt.Errorf("open idle client %d: %w", len(conns)+1, err)
		}
		conns = append(conns, c)
	}
	return then()
}

// openIdle logs in without a password and runs one query.
func openIdle(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	fe := pgproto3.NewFrontend(c, c)
	fe.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "postgres", "database": database}})
	err = untilReady(fe)
	if err == nil {
		fe.Send(&pgproto3.Query{String: "SELECT 1"})
		err = untilReady(fe)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func untilReady(fe *pgproto3.Frontend) error {
	if err := fe.Flush(); err != nil {
		return err
	}
	for {
		m, err := fe.Receive()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			return nil
		case *pgproto3.ErrorResponse:
			return fmt.Errorf("server said: %s (%s)", m.Message, m.Code)
		}
	}
}
