package bounds

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/pgtest"
)

// down stops the server and waits until clients have noticed.
func down(t *testing.T, s *pgtest.Server, p *pgtest.Pooler) *load {
	t.Helper()
	if err := s.Stop(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	clients := run(t, p, "api", "web", 5, 10*time.Millisecond, ask)
	eventually(t, "the outage is noticed", limit, func() bool { return upstream(t, p)["breaker"] == "open" })
	return clients
}

// TestOperatorsWaitForARestart: around a restart an operator is never refused;
// whoever asks while the server is away waits, and is served when it is back.
func TestOperatorsWaitForARestart(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads, map[string]any{"timeouts.queue": "60s"})
	var waiting sync.WaitGroup
	clients := down(t, s, p)
	errs := make(chan error, 3)
	for range 3 {
		waiting.Go(func() {
			ctx, end := context.WithTimeout(context.Background(), limit)
			defer end()
			conn, err := connect(ctx, p, "oncall", "psql")
			if err == nil {
				err = ask(ctx, conn)
				_ = conn.Close(ctx)
			}
			errs <- err
		})
	}
	eventually(t, "the operators wait", limit, func() bool {
		rows, err := pgtest.Console(p, "SHOW CLIENTS")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, row := range rows {
			if row["user"] == "oncall" && row["state"] == "waiting" {
				n++
			}
		}
		return n == 3
	})
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	waiting.Wait()
	t.Logf("three operators served %v after the server was back", time.Since(began).Round(time.Millisecond))
	for range 3 {
		if err := <-errs; err != nil {
			t.Errorf("an operator was refused: %s", text(err))
		}
	}
	_, _, told := clients.reap()
	t.Logf("others meanwhile: %v, %s", told, clients.sample)
	if !strings.Contains(clients.sample, "has not been reached for") {
		t.Errorf("clients are told %q, which does not say since when", clients.sample)
	}
}

// TestOperatorsAreToldTheCause: while they wait, and when they have waited for
// as long as they may.
func TestOperatorsAreToldTheCause(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads, map[string]any{"timeouts.queue": "2s"})
	conf, err := pgx.ParseConfig(p.URL(pgtest.Login{User: "oncall", Params: map[string]string{"default_query_exec_mode": "simple_protocol"}}))
	if err != nil {
		t.Fatal(err)
	}
	var notices []string
	conf.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Message+"; "+n.Detail) }
	conn, err := pgx.ConnectConfig(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	down(t, s, p).stop()
	var told string
	eventually(t, "the operator is told", limit, func() bool {
		err := ask(t.Context(), conn)
		told = text(err)
		return code(err) == "08001"
	})
	t.Logf("told: %s\nmeanwhile: %q", told, notices)
	for _, want := range []string{"cannot connect to the server", "server main has not been reached for", "next attempt", "waited 2"} {
		if !strings.Contains(told, want) {
			t.Errorf("the error does not say %q", want)
		}
	}
	if !slices.ContainsFunc(notices, func(n string) bool { return strings.Contains(n, "you are first in the queue") }) {
		t.Errorf("nothing was said while it waited: %q", notices)
	}
	if conn.IsClosed() {
		t.Fatal("the session was lost")
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Errorf("ROLLBACK outside a transaction: %s", text(err))
	}
}
