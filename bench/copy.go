package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/pgtest"
)

// copyMB is the size of one COPY; a transaction of these cells is one COPY.
const copyMB = 10

// copyCells move 10 MB per COPY, in and out. pgbench cannot COPY, so the
// clients are our own; what they cost is the same for every contender.
func copyCells(options) []Cell {
	var cells []Cell
	for _, useTLS := range []bool{false, true} {
		cells = append(cells, copyCell("out", useTLS, copyOut), copyCell("in", useTLS, copyIn()))
	}
	return cells
}

// copyOnce is one COPY on a connection.
type copyOnce func(context.Context, *pgconn.PgConn) error

func copyOut(ctx context.Context, c *pgconn.PgConn) error {
	_, err := c.CopyTo(ctx, io.Discard, fmt.Sprintf("COPY (SELECT * FROM wide LIMIT %d) TO STDOUT", copyMB*1000))
	return err
}

// copyIn fills a table that Prepare empties before each turn.
func copyIn() copyOnce {
	row := append(append([]byte("1\t"), bytes.Repeat([]byte("x"), 1000)...), '\n')
	rows := bytes.Repeat(row, copyMB*1000)
	return func(ctx context.Context, c *pgconn.PgConn) error {
		_, err := c.CopyFrom(ctx, bytes.NewReader(rows), "COPY target FROM STDIN")
		return err
	}
}

func copyCell(direction string, useTLS bool, once copyOnce) Cell {
	const clients = 4
	return Cell{
		Name:   fmt.Sprintf("copy/%s/%d/%s", direction, clients, wire(useTLS)),
		Family: fmt.Sprintf("COPY (%d MB each)", copyMB), Clients: clients, TLS: useTLS,
		Goal: goalFor("copy", clients, useTLS),
		Prepare: func(r *rig) error {
			_, err := r.server.QueryIn(database, "TRUNCATE target")
			return err
		},
		Run: func(ctx context.Context, r *rig, p *contender) (Sample, error) {
			return r.drive(ctx, p, driven{clients: clients, tls: useTLS, once: once})
		},
	}
}

// driven is a load by our own clients.
type driven struct {
	clients int
	tls     bool
	once    copyOnce
}

// overdue is how long after its turn a client that still waits is told of as hanging.
const overdue = time.Minute

// drive runs the clients for a turn, the first second of which is warm-up.
func (r *rig) drive(ctx context.Context, p *contender, d driven) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.options.seconds)*time.Second+overdue)
	defer cancel()
	begun := time.Now()
	counted, end := begun.Add(time.Second), begun.Add(time.Duration(r.options.seconds)*time.Second)
	var first usage
	var firstErr error
	timer := time.AfterFunc(time.Until(counted), func() { first, firstErr = r.usage(p) })
	defer timer.Stop()

	results := make([]drivenResult, d.clients)
	var clients sync.WaitGroup
	for i := range results {
		clients.Go(func() { results[i] = d.client(ctx, p, counted, end) })
	}
	clients.Wait()
	last, err := r.usage(p)
	err = errors.Join(err, firstErr)

	var all []float64
	for _, res := range results {
		all = append(all, res.latencies...)
		err = errors.Join(err, res.err)
	}
	s := Sample{Count: len(all)}
	s.TPS = float64(len(all)) / last.at.Sub(first.at).Seconds()
	s.perTransaction(first, last, float64(len(all)))
	s.latencies(all)
	return s, err
}

type drivenResult struct {
	latencies []float64 // ms, of those that ended in the window
	err       error
}

func (d driven) client(ctx context.Context, p *contender, counted, end time.Time) (res drivenResult) {
	conn, err := d.connect(ctx, p)
	if err != nil {
		return drivenResult{err: err}
	}
	defer func() { res.err = errors.Join(res.err, conn.Close(ctx)) }()
	for time.Now().Before(end) {
		begun := time.Now()
		if err := d.once(ctx, conn); err != nil {
			res.err = fmt.Errorf("copy: %w", err)
			return res
		}
		if now := time.Now(); now.After(counted) {
			res.latencies = append(res.latencies, float64(now.Sub(begun).Microseconds())/1e3)
		}
	}
	return res
}

func (d driven) connect(ctx context.Context, p *contender) (*pgconn.PgConn, error) {
	cfg, err := pgconn.ParseConfig(p.URL(pgtest.Login{Database: database}))
	if err != nil {
		return nil, fmt.Errorf("parse address: %w", err)
	}
	if d.tls {
		cfg.TLSConfig = &tls.Config{InsecureSkipVerify: true} // as pgbench's sslmode=require
	}
	return pgconn.ConnectConfig(ctx, cfg)
}
