package drill

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/drill/gauge"
	"spillway/internal/drill/load"
	"spillway/internal/drill/rig"
)

// leak replays the reports 001 and 002.
func leak() Drill {
	return Drill{
		Name: "leak", Title: "A worker leaks a session per item", Reports: []string{"001", "002"},
		Story: "A background worker opens a database session for every item and never closes it. Within minutes it holds every slot of a server with " +
			"max_connections = 85; the API cannot connect, and neither can the people who come to help. 23 minutes of complete failure, twice.",
		Hypothesis: "Behind Spillway the worker is kept at its limit of 8 slots, its idle transactions are taken back after a while and it is named; " +
			"the API and the operator notice nothing.",
		Steady: "The API answers 60 requests a second, all of them; pgbench asks with a new connection each time; the operator's psql gets in.",
		Report: Told{
			Availability: "0 % for 23 min", Errors: "every request", Peak: "85 of 85 (001), 100 of 100 (002)", Named: "8 min (001, 002)", Contained: "8 min (001), 20 min (002)",
			Recovered: "13 min (001), 21 min (002)", Operator: "locked out (001)", WrongKills: "every API pod (002)",
		},
		Cause:   gauge.Cause{Words: []string{"celery"}},
		Culprit: []string{"worker"}, NameWithin: time.Minute,
		Play: leakPlay,
	}
}

const leakFragment = `workloads:
  api:       {match: {user: api}, class: critical, share: %d, limit: %d, queue_timeout: 2s}
  data-sync: {match: {application_name: "celery*"}, class: batch, share: %d, limit: 8, queue_timeout: 2s, leak_after: %s, on_leak: reclaim}
  default:   {class: normal, share: %d, limit: %d}
`

func leakPlay(scale float64) Play {
	probe, options := rig.ProbeRole()
	slots := min(amount(scale, 85, 30), 85) // of the report's server; a short drill has less to fill
	p := Play{
		Steady: span(scale, 8*time.Second, time.Second), Fault: span(scale, 35*time.Second, 4*time.Second), After: span(scale, 12*time.Second, time.Second),
		Setup: rig.Setup{
			Settings: map[string]string{"max_connections": strconv.Itoa(slots)},
			Roles:    map[string]string{"api": "", "worker": "", "shop": "", operatorRole: options, probe: options},
			SQL: []string{
				"CREATE TABLE item (id int PRIMARY KEY, v int NOT NULL DEFAULT 0)",
				"INSERT INTO item SELECT generate_series(1, 10000)", "GRANT ALL ON item TO PUBLIC", "ANALYZE",
			},
		},
		API: load.API{
			Rate: 60, Deadline: 5 * time.Second, Conns: 10, Lifetime: time.Second, Rows: 10000,
			SQL: []string{"SELECT v FROM item WHERE id = $1", "SELECT v FROM item WHERE id = $1", "UPDATE item SET v = v + 1 WHERE id = $1"},
		},
		Load: []string{
			"API: 60 requests a second over pgx's own pool of 10, connections renewed every second, two reads to a write, 5 s each at most, no retry",
			"shop: pgbench -C, a new connection for each of 10 transactions a second",
			"operator: psql with a new login every 2 s, asks who holds most connections",
			"fault: 24 threads of Python with psycopg2, together 12 sessions a second, none of them ever closed",
		},
		Bound:  8,
		Others: shop, Strike: strikeLeak,
	}
	part := func(of85 int) int { return slots * of85 / 85 }
	p.Fragment = fmt.Sprintf(leakFragment, part(50), part(70), part(5), span(scale, 5*time.Second, 500*time.Millisecond), part(10), part(20))
	return p
}

// shop is pgbench with a new connection for every transaction; it gives up at
// the first one that is refused.
func shop(ctx context.Context, s *Scene) error {
	script, err := s.Rig.File("shop.sql", "\\set id random(1, 10000)\nSELECT v FROM item WHERE id = :id;\n")
	if err != nil {
		return err
	}
	return s.program(ctx, "pgbench -C", rig.Command{
		Path: s.Tools.Pgbench, Env: s.Login.Env("shop", "pgbench"),
		Args: []string{"-n", "-C", "-c", "2", "-R", "10", "-T", wholeSeconds(s.Play.length()), "-f", script},
	})
}

// leakThreads is the "dozens of threads" of report 001.
const leakThreads = 24

func strikeLeak(ctx context.Context, s *Scene) error {
	pause := 2 * time.Second
	if s.Play.Fault < 20*time.Second {
		pause /= 8 // all slots within a second
	}
	s.Gauge.Event("drill", "fault", "the worker begins to leak a session per item")
	defer s.Gauge.Event("drill", "fault", "the worker is killed, as people did then; its sessions end with it")
	if s.Tools.Python == "" {
		return leakByPgx(ctx, s, pause)
	}
	return s.program(ctx, "worker (psycopg2)", rig.Command{
		Path: s.Tools.Python, Env: s.Login.Env("worker", "celery-sync"),
		Args: []string{"-c", load.LeakScript, seconds(s.Play.Fault), strconv.Itoa(leakThreads), seconds(pause)},
	})
}

// leakByPgx is the same worker where Python has no driver.
func leakByPgx(ctx context.Context, s *Scene, pause time.Duration) error {
	config, err := pgx.ParseConfig(s.Login.URL("worker"))
	if err != nil {
		return fmt.Errorf("read the worker's url: %w", err)
	}
	config.RuntimeParams["application_name"] = "celery-sync"
	var all sync.WaitGroup
	for range leakThreads {
		all.Go(func() { leakThread(ctx, config, pause) })
	}
	all.Wait()
	return nil
}

func leakThread(ctx context.Context, config *pgx.ConnConfig, pause time.Duration) {
	var kept []*pgx.Conn
	defer func() {
		for _, c := range kept {
			_ = c.PgConn().Conn().Close() // as a killed process does
		}
	}()
	for wait := pause; rest(ctx, wait); {
		wait = pause / 10
		conn, err := pgx.ConnectConfig(ctx, config.Copy())
		if err != nil {
			continue
		}
		kept = append(kept, conn)
		if _, err = conn.Exec(ctx, "BEGIN"); err == nil {
			_, err = conn.Exec(ctx, "SELECT v FROM item WHERE id = 7")
		}
		if err == nil {
			wait = pause
		}
	}
}
