package proxy_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
	"spillway/internal/proxy"
)

// policyFor is the least a proxy before pg needs.
func policyFor(pg *pgtest.Server, mode proxy.PoolMode) *proxy.Policy {
	inherit := time.Duration(-1)
	d := &proxy.Database{Name: "*", Upstream: "main", PoolSize: -1, MinPoolSize: -1, ReservePool: -1, Mode: mode,
		ServerLifetime: inherit, QueryTimeout: inherit, QueueTimeout: inherit}
	return &proxy.Policy{
		Upstreams:   map[string]*proxy.Upstream{"main": {Name: "main", Hosts: []proxy.Address{{Host: "127.0.0.1", Port: uint16(pg.Port)}}, MaxConnections: 90}},
		AnyDatabase: d,
		Auth:        proxy.Authentication{Method: "trust"},
		Limits:      proxy.Limits{MaxClients: 1000},
		Timeouts:    proxy.Timeouts{Queue: time.Minute, ClientLogin: time.Minute, ServerConnect: time.Minute},
		Defaults:    proxy.PoolDefaults{PoolSize: 20},
		Session:     proxy.SessionRules{MaxPrepared: 200, TrackParameters: []string{"search_path", "statement_timeout"}},
	}
}

// serve runs a proxy for a test and returns its address.
func serve(t *testing.T, driver string, p *proxy.Policy) (*proxy.Proxy, string) {
	t.Helper()
	at := pgtest.FreeAddr(t)
	x, err := proxy.New(proxy.Config{Listen: []proxy.Listen{{Network: "tcp", Address: at}}, Driver: driver, Loops: 1, Policy: p,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x, at
}

var drivers = []string{"epoll", "io_uring", "goroutine"}

func TestQueriesThroughEveryDriverAndMode(t *testing.T) {
	pg := pgtest.Start(t, pgtest.Options{})
	for _, driver := range drivers {
		for name, mode := range map[string]proxy.PoolMode{"session": proxy.ModeSession, "transaction": proxy.ModeTransaction} {
			t.Run(driver+"/"+name, func(t *testing.T) {
				_, at := serve(t, driver, policyFor(pg, mode))
				ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
				defer stop()
				conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@%s/postgres", at))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close(ctx)
				for i := range 5 {
					var n int
					if err := conn.QueryRow(ctx, "select $1::int + 1", i).Scan(&n); err != nil || n != i+1 {
						t.Fatalf("select: %d, %v", n, err)
					}
				}
				tx, err := conn.Begin(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := tx.Exec(ctx, "select 1/0"); err == nil {
					t.Fatal("no error from 1/0")
				}
				if err := tx.Rollback(ctx); err != nil {
					t.Fatal(err)
				}
				var s string
				if err := conn.QueryRow(ctx, "select repeat('x', 3000000)").Scan(&s); err != nil || len(s) != 3000000 {
					t.Fatalf("long row: %d bytes, %v", len(s), err)
				}
			})
		}
	}
}

func TestHolderShowsItsStatementWithoutLiterals(t *testing.T) {
	pg := pgtest.Start(t, pgtest.Options{})
	x, at := serve(t, "epoll", policyFor(pg, proxy.ModeTransaction))
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@%s/postgres", at))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "begin; select 'secret'"); err != nil {
		t.Fatal(err)
	}
	list, err := x.Servers(ctx)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d servers, %v", len(list), err)
	}
	if s := list[0]; s.InTransaction != 'T' || s.SQL == "" || strings.Contains(s.SQL, "secret") || s.Link == 0 {
		t.Errorf("the holder's server reads %+v", s)
	}
}
