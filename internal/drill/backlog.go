package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"spillway/internal/drill/gauge"
	"spillway/internal/drill/load"
	"spillway/internal/drill/outcome"
	"spillway/internal/drill/rig"
)

// backlog replays the database's part of report 000.
func backlog() Drill {
	return Drill{
		Name: "backlog", Title: "A clean-up that never finishes overlaps itself", Reports: []string{"000"},
		Story: "A clean-up of expired sessions runs every minute over a table of 50 million rows and has not finished for three days. Each run overlaps the one before; the same statement " +
			"runs hundreds of times and takes all 500 connections. It took 17 minutes to name it, 39 to stop it, 50 to end the stuck statements, and the rest of the day to delete 48 million rows by a script.",
		Hypothesis: "Behind Spillway the clean-up is kept at its limit of 24 slots and named within 10 seconds; one command pauses it and cancels what runs, another sweeps the rows " +
			"in batches; the API notices nothing.",
		Steady: "The API answers 50 requests a second, one in four writes a session; the operator's psql gets in.",
		Report: Told{
			Availability: "targets >80 % unhealthy", Errors: "-", Peak: "500 of 500", Named: "17 min", Contained: "39 min", Recovered: "75 min",
			WrongKills: "-", Stuck: "200+, gone after 50 min", Deleted: "48 M in 7.5 h (1,800 rows/s)",
		},
		// The statement is what has to be named, whoever sends it.
		Cause:   gauge.Cause{Words: []string{"session-cleanup", "cron-cleanup"}},
		Culprit: []string{"cleanup"}, NameWithin: 10 * time.Second,
		Play: backlogPlay,
	}
}

const backlogFragment = `workloads:
  api:             {match: {user: api}, class: critical, share: %d, limit: %d, queue_timeout: 2s}
  session-cleanup: {match: {user: cleanup}, class: batch, share: %d, borrow: 2000%%, limit: %d, queue_timeout: 30s}
  default:         {class: normal, share: 5, limit: 10}
`

// backlogOld is when every doomed session ended; what the API writes lives on.
const backlogOld = "2025-01-01"

func backlogPlay(scale float64) Play {
	probe, options := rig.ProbeRole()
	slots := min(amount(scale, 200, 60), 200)
	rows := amount(scale, 2_000_000, 150_000)
	const limit = 24 // the storm of one statement begins at 20
	p := Play{
		Steady: span(scale, 8*time.Second, time.Second), Fault: span(scale, 36*time.Second, 9*time.Second), After: span(scale, 24*time.Second, 3*time.Second),
		Setup: rig.Setup{
			Settings: map[string]string{"max_connections": strconv.Itoa(slots), "max_parallel_workers_per_gather": "0", "shared_buffers": "256MB", "max_wal_size": "4GB"},
			Roles:    map[string]string{"api": "", "cleanup": "", operatorRole: options, probe: options},
			SQL: []string{
				"CREATE TABLE sessions (id bigserial PRIMARY KEY, person bigint NOT NULL, token text NOT NULL, expires_at timestamptz NOT NULL)",
				fmt.Sprintf("INSERT INTO sessions (person, token, expires_at) SELECT n, md5(n::text), '%s' FROM generate_series(1, %d) n", backlogOld, rows),
				"GRANT ALL ON sessions TO PUBLIC", "GRANT ALL ON SEQUENCE sessions_id_seq TO PUBLIC",
				"GRANT CREATE ON DATABASE " + rig.Database + " TO " + probe, "VACUUM ANALYZE sessions",
			},
		},
		API: load.API{
			Rate: 50, Deadline: 5 * time.Second, Conns: 10, Lifetime: time.Second, Rows: rows,
			SQL: []string{
				"SELECT person FROM sessions WHERE id = $1", "SELECT person FROM sessions WHERE id = $1", "SELECT person FROM sessions WHERE id = $1",
				"INSERT INTO sessions (person, token, expires_at) SELECT $1::bigint, md5(random()::text), now() + interval '1 day'",
			},
		},
		Load: []string{
			"API: 50 requests a second over pgx's own pool of 10, connections renewed every second, three reads to a write, 5 s each at most, no retry",
			fmt.Sprintf("sessions: %d rows, all of them expired but those the API adds", rows),
			"operator: psql with a new login every 2 s, asks who holds most connections",
			"fault: every 2 s another run of the clean-up (Python with psycopg2, 24 sessions each) that takes 1,000 expired sessions and does not delete them before its deadline",
			"response: bare, cron is stopped and stuck statements are terminated by the superuser, as then, at the fault's end, then the report's script deletes 10,000 rows every 2 s; " +
				"guarded, spillway pause and spillway sweep, 2 s after the cause is named",
		},
		Bound:  limit,
		Strike: strikeBacklog, Respond: respondBacklog, Close: countBacklog,
	}
	p.Fragment = fmt.Sprintf(backlogFragment, slots*4/10, slots*6/10, slots*3/100+1, limit)
	return p
}

// cleanupSQL takes the next expired sessions, to delete them one by one; who
// comes second waits for the first.
const cleanupSQL = "SELECT * FROM sessions WHERE expires_at < NOW() ORDER BY id LIMIT 1000 FOR UPDATE"

// runEvery is the job's interval, runDeadline when it gives up, runSessions what
// each run opens.
const (
	runEvery    = 2 * time.Second
	runDeadline = 6 * time.Second
	runSessions = 24
)

func strikeBacklog(ctx context.Context, s *Scene) error {
	s.Gauge.Event("drill", "fault", "the clean-up runs; no run finishes before the next one begins")
	defer s.Gauge.Event("drill", "fault", "cron is stopped, as people did then; what it has sent runs on")
	runs := newCrew(ctx)
	begun, every := time.Now(), span(float64(s.Play.Fault)/float64(36*time.Second), runEvery, runEvery/8)
	_ = each(ctx, every, func() {
		left := s.Play.Fault - time.Since(begun)
		runs.run("clean-up", func(ctx context.Context) error { return s.cleanUp(ctx, left) })
	})
	return runs.end()
}

// cleanUp is one run of the job.
func (s *Scene) cleanUp(ctx context.Context, left time.Duration) error {
	if left < time.Second {
		return nil
	}
	if s.Tools.Python != "" {
		return s.program(ctx, "clean-up (psycopg2)", rig.Command{
			Path: s.Tools.Python, Env: s.Login.Env("cleanup", "cron-cleanup"),
			Args: []string{"-c", load.CleanupScript, seconds(left), strconv.Itoa(runSessions), seconds(runDeadline), cleanupSQL},
		})
	}
	script, err := s.Rig.File("cleanup.sql", "BEGIN;\n"+cleanupSQL+";\n\\sleep "+wholeSeconds(runDeadline)+" s\nROLLBACK;\n")
	if err != nil {
		return err
	}
	return s.program(ctx, "clean-up (pgbench)", rig.Command{
		Path: s.Tools.Pgbench, Env: s.Login.Env("cleanup", "cron-cleanup"),
		Args: []string{"-n", "-c", strconv.Itoa(runSessions), "-T", wholeSeconds(left), "-f", script},
	})
}

// respondBacklog is what people do about it.
func respondBacklog(ctx context.Context, s *Scene) error {
	if s.Guarded() {
		return containBacklog(ctx, s)
	}
	return endBacklogBare(ctx, s)
}

// containBacklog waits until the cause is named, then gives the two commands.
func containBacklog(ctx context.Context, s *Scene) error {
	if !s.untilNamed(ctx) || !rest(ctx, s.reading()) {
		return nil
	}
	out, err := s.spillway(ctx, "pause", "session-cleanup", "--cancel", "--for", "10m", "--reason", "it never finishes")
	s.did("spillway pause session-cleanup --cancel", out, err)
	s.did("spillway sweep run public.sessions", "", nil)
	out, err = s.spillway(ctx, "sweep", "run", "public.sessions", "--database", rig.Database, "-w", "expires_at < now()", "--share", "50%", "--yes")
	if ctx.Err() == nil { // else it had no time to finish
		s.did("the sweep ends", lastLines(out, 1), err)
	}
	return nil
}

// reading is how long an operator takes to read a finding and type a command.
func (s *Scene) reading() time.Duration { return min(2*time.Second, s.Play.Fault/16) }

// endBacklogBare does what the report tells: after cron is stopped the stuck
// statements are terminated by somebody with a reserved slot, and a script
// deletes in batches with pauses.
func endBacklogBare(ctx context.Context, s *Scene) error {
	if !rest(ctx, s.Play.Fault+s.reading()) {
		return nil
	}
	var ended int
	err := s.Server.Value(ctx, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'cleanup'", &ended)
	s.did(fmt.Sprintf("pg_terminate_backend of %d stuck statements", ended), "", err)
	const batch = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < now() LIMIT 10000)"
	s.did("the script deletes 10,000 rows at a time, with pauses", "", nil)
	for ctx.Err() == nil {
		if err := s.Server.Exec(ctx, rig.Database, batch); err != nil && ctx.Err() == nil {
			return err
		}
		rest(ctx, min(runEvery, s.Play.After/8))
	}
	return nil
}

func countBacklog(ctx context.Context, s *Scene, f *outcome.Figures) error {
	var left int64
	if err := s.Server.Value(ctx, "SELECT count(*) FROM sessions WHERE expires_at = '"+backlogOld+"'", &left); err != nil {
		return err
	}
	f.Deleted = int64(s.Play.API.Rows) - left
	begun, ended := s.Window.End, s.Window.End
	for _, e := range s.Gauge.Side("", s.Window).Events {
		switch {
		case e.Kind == "action" && (strings.Contains(e.What, "sweep run") || strings.Contains(e.What, "the script")):
			begun = e.At
		case strings.HasPrefix(e.What, "the sweep ends"):
			ended = e.At
		}
	}
	f.DeleteRate = float64(f.Deleted) / max(ended-begun, 0.1)
	until, most := s.Gauge.BusyUntil(s.Window.Culprit, s.Window)
	if f.Stuck = most; until < s.Window.End-1 {
		d := max(until-s.Window.FaultAt, 0)
		f.Unstuck = &d
	}
	return nil
}

// nameByQueries is how an operator names a storm with one command: the
// statement that runs most often, at least stormOf times.
func (s *Scene) nameByQueries(ctx context.Context, c gauge.Cause) {
	out, err := s.spillway(ctx, "queries", "-o", "json")
	if err != nil {
		return
	}
	var answer struct {
		Items []struct {
			Running   int
			SQL       string
			Workloads []string
		}
	}
	if json.Unmarshal([]byte(out), &answer) != nil || len(answer.Items) == 0 {
		return
	}
	top := answer.Items[0]
	if who := strings.Join(top.Workloads, ", "); top.Running >= stormOf && c.In(who+" "+top.SQL) {
		s.Gauge.Name("operator", fmt.Sprintf("spillway queries: %s runs %d times at once: %s", who, top.Running, top.SQL))
	}
}

// stormOf is how often one statement must run at once to be a storm.
const stormOf = 20
