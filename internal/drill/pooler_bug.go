package drill

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/drill/gauge"
	"spillway/internal/drill/load"
	"spillway/internal/drill/rig"
)

// poolerBug replays report 003.
func poolerBug() Drill {
	return Drill{
		Name: "pooler-bug", Title: "A client library opens connections, fails them, and opens more", Reports: []string{"003"},
		Story: "A bug in the connection pooling library of a service makes an excessive number of failed connections. They pile up until the database cluster answers nobody; it is restarted, " +
			"and they pile up again. Four hours of outage for all users.",
		Hypothesis: "Behind Spillway failed logins end at its door: PostgreSQL sees none of them, the culprit is named, and a restart of the server is over for the API within its own patience.",
		Steady:     "The API answers 60 requests a second, the operator's psql gets in.",
		Report: Told{
			Availability: "0 % for up to 4 h", Errors: "all users", Named: "30 min (a malfunctioning cluster)", Contained: "50 min to the first intervention", Recovered: "2 h 30 min",
		},
		Cause:   gauge.Cause{Words: []string{"legacy"}},
		Culprit: []string{"legacy"}, NameWithin: 10 * time.Second,
		Play: poolerBugPlay,
	}
}

const poolerBugFragment = `workloads:
  api:     {match: {user: api}, class: critical, share: %d, limit: %d, queue_timeout: 5s}
  legacy:  {match: {user: legacy}, class: batch, share: 2, limit: 10, queue_timeout: 2s}
  default: {class: normal, share: 5, limit: 10}
`

func poolerBugPlay(scale float64) Play {
	probe, options := rig.ProbeRole()
	slots := min(amount(scale, 100, 40), 100)
	p := Play{
		Steady: span(scale, 8*time.Second, time.Second), Fault: span(scale, 36*time.Second, 14*time.Second), After: span(scale, 14*time.Second, 2*time.Second),
		Setup: rig.Setup{
			Settings: map[string]string{"max_connections": strconv.Itoa(slots)},
			Roles:    map[string]string{"api": "", "legacy": "", operatorRole: options, probe: options},
			SQL: []string{
				"CREATE TABLE item (id int PRIMARY KEY, v int NOT NULL DEFAULT 0)",
				"INSERT INTO item SELECT generate_series(1, 10000)", "GRANT ALL ON item TO PUBLIC", "ANALYZE",
			},
		},
		API: load.API{
			Rate: 60, Deadline: 5 * time.Second, Conns: 10, Lifetime: time.Second, Rows: 10000, Retry: true,
			SQL: []string{"SELECT v FROM item WHERE id = $1"},
		},
		Load: []string{
			"API: 60 reads a second over pgx's own pool of 10, connections renewed every second, 5 s each at most; what fails with its connection is tried again within them",
			"operator: psql with a new login every 2 s, asks who holds most connections",
			fmt.Sprintf("fault: 16 threads of Python with psycopg2, up to 300 logins a second: a third with a wrong password, a third thrown away at once, a third given up half way and not closed (%d of them at most); "+
				"a third into it PostgreSQL is restarted", slots*2),
		},
		Bound: 10, Restart: true,
		Strike: strikePoolerBug,
	}
	p.Fragment = fmt.Sprintf(poolerBugFragment, slots*6/10, slots*7/10)
	return p
}

// bugThreads and bugPause make up to 300 logins a second.
const (
	bugThreads = 16
	bugPause   = 50 * time.Millisecond
)

func strikePoolerBug(ctx context.Context, s *Scene) error {
	s.Gauge.Event("drill", "fault", "the library begins to open connections and to fail them")
	defer s.Gauge.Event("drill", "fault", "the service with the library is stopped")
	c := newCrew(ctx)
	c.run("restart", func(ctx context.Context) error {
		if !rest(ctx, s.Play.Fault/3) {
			return nil
		}
		return s.restart(ctx, 0)
	})
	kept := s.Play.Setup.Settings["max_connections"]
	most, err := strconv.Atoi(kept)
	if err != nil {
		return fmt.Errorf("read max_connections: %w", err)
	}
	most *= 2
	c.run("library", func(ctx context.Context) error {
		if s.Tools.Python == "" {
			return retryByPgx(ctx, s, most)
		}
		return s.program(ctx, "service with the library (psycopg2)", rig.Command{
			Path: s.Tools.Python, Env: s.Login.Env("legacy", "legacy-pool"),
			Args: []string{"-c", load.RetryScript, seconds(s.Play.Fault), strconv.Itoa(bugThreads), strconv.Itoa(most), fmt.Sprint(bugPause.Seconds())},
		})
	})
	<-ctx.Done()
	return c.end()
}

// restart restarts PostgreSQL, which stays away for a while in between.
func (s *Scene) restart(ctx context.Context, away time.Duration) error {
	s.Gauge.Event("drill", "fault", "PostgreSQL restarts")
	s.Gauge.Away()
	if err := s.Server.Stop(); err != nil {
		return err
	}
	rest(ctx, away)
	if err := s.Server.Start(); err != nil {
		return err
	}
	s.Gauge.Away()
	s.Gauge.Event("drill", "fault", "PostgreSQL is back")
	return nil
}

// retryByPgx is the same library where Python has no driver: pgconn dialled by
// hand for the logins that are given up.
func retryByPgx(ctx context.Context, s *Scene, most int) error {
	config, err := pgx.ParseConfig(s.Login.URL("legacy"))
	if err != nil {
		return fmt.Errorf("read the library's url: %w", err)
	}
	config.RuntimeParams["application_name"] = "legacy-pool"
	left := make(chan *pgconn.HijackedConn, most)
	var all sync.WaitGroup
	for n := range bugThreads {
		all.Go(func() {
			for turn := n; rest(ctx, bugPause); turn++ {
				one := config.Copy()
				if turn%3 == 0 {
					one.Password = "wrong"
				}
				conn, err := pgx.ConnectConfig(ctx, one)
				if err != nil {
					continue
				}
				if turn%3 == 1 {
					_ = conn.Close(ctx)
					continue
				}
				keepOpen(conn, left)
			}
		})
	}
	all.Wait()
	close(left)
	for c := range left {
		_ = c.Conn.Close()
	}
	return nil
}

// keepOpen forgets a connection without closing it, and closes the oldest when
// there are too many.
func keepOpen(conn *pgx.Conn, left chan *pgconn.HijackedConn) {
	raw, err := conn.PgConn().Hijack()
	if err != nil {
		return
	}
	for {
		select {
		case left <- raw:
			return
		default:
		}
		select {
		case old := <-left:
			_ = old.Conn.Close()
		default:
		}
	}
}
