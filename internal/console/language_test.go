package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"spillway/internal/proxy"
)

// TestStatsUsersOnlyLook runs the whole language as a user without admin
// rights: SHOW works and nothing else reaches the process (CVE-2026-6667).
func TestStatsUsersOnlyLook(t *testing.T) {
	arguments := map[string]string{
		"DISABLE": "app", "ENABLE": "app", "KILL_CLIENT": "11", "SET": "max_client_conn = 5",
		"DISCARD": "ALL", "DEALLOCATE": "ALL", "RESET": "ALL",
	}
	for name, command := range newLanguage() {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, false)
			sql := strings.TrimSpace(name + " " + arguments[name])
			harmless := strings.HasPrefix(name, "SHOW ") || command.quiet
			if harmless {
				b.tags(sql)
			} else if e := b.failed(sql); e.report.Code != codeRights || e.report.Message != "admin access needed" {
				t.Errorf("got %s", e)
			}
			b.wasAsked()
		})
	}
}

// TestStatsUsersOnlyLookPrepared is the same through a prepared statement.
func TestStatsUsersOnlyLookPrepared(t *testing.T) {
	b := newBench(t, false)
	b.send('P', []byte("\x00KILL_CLIENT 11\x00\x00\x00"))
	b.send('B', []byte("\x00\x00\x00\x00\x00\x00\x00\x00"))
	reply := b.send('E', []byte("\x00\x00\x00\x00\x00"))
	if len(reply) != 1 || reply[0].report.Code != codeRights {
		t.Errorf("got %s", transcript(reply))
	}
	b.wasAsked()
}

// TestZeroCommandDenies pins that a row without rights is for admins.
func TestZeroCommandDenies(t *testing.T) {
	s := newBench(t, false).session.(*session)
	ran := false
	p := &plan{command: &command{name: "NEW", run: func(context.Context, *call, *answer) error { ran = true; return nil }}}
	if err := s.run(t.Context(), p, &answer{}); !errors.Is(err, errRights) || ran {
		t.Errorf("got %v, ran %v", err, ran)
	}
}

func TestVerbs(t *testing.T) {
	for _, c := range []struct{ sql, tag, asked string }{
		{"PAUSE", "PAUSE", "pause()"},
		{"pause app;", "PAUSE", "pause(app)"},
		{"  Pause  \"My DB\" ", "PAUSE", "pause(My DB)"},
		{"PAUSE my-db.eu", "PAUSE", "pause(my-db.eu)"},
		{"PAUSE 'app'", "PAUSE", "pause(app)"},
		{"PAUSE \"we\"\"ird\"", "PAUSE", "pause(we\"ird)"},
		{"PAUSE app TIMEOUT 5s", "PAUSE", "pause(app)"},
		{"PAUSE TIMEOUT 5", "PAUSE", "pause()"},
		{"PAUSE timeout", "PAUSE", "pause(timeout)"},
		{"PAUSE timeout timeout '250ms'", "PAUSE", "pause(timeout)"},
		{"RESUME", "RESUME", "resume()"},
		{"RESUME app", "RESUME", "resume(app)"},
		{"RECONNECT app", "RECONNECT", "reconnect(app)"},
		{"RECONNECT", "RECONNECT", "reconnect()"},
		{"DISABLE app", "DISABLE", "disable(app)"},
		{"ENABLE app", "ENABLE", "enable(app)"},
		{"KILL app", "KILL", "kill(app)"},
		{"KILL", "KILL", "kill()"},
		{"KILL_CLIENT 11", "KILL_CLIENT", "kill_client(11)"},
		{"KILL_CLIENT 0x00000000000b", "KILL_CLIENT", "kill_client(11)"},
		{"SUSPEND", "SUSPEND", "suspend()"},
		{"WAIT_CLOSE", "WAIT_CLOSE", "wait_close()"},
		{"WAIT_CLOSE app TIMEOUT 1m", "WAIT_CLOSE", "wait_close(app)"},
		{"RELOAD;", "RELOAD", "reload()"},
		{"SHUTDOWN", "SHUTDOWN", "shutdown(immediate)"},
		{"SHUTDOWN wait_for_servers", "SHUTDOWN", "shutdown(wait_for_servers)"},
		{"shutdown WAIT_FOR_CLIENTS;", "SHUTDOWN", "shutdown(wait_for_clients)"},
		{"SET query_timeout = 30", "SET", "set(query_timeout=30)"},
		{"SET query_timeout TO '30s'", "SET", "set(query_timeout=30s)"},
		{"SET query_timeout='it''s'", "SET", "set(query_timeout=it's)"},
		{"SET track_extra_parameters = IntervalStyle, search_path", "SET", "set(track_extra_parameters=IntervalStyle, search_path)"},
		{"/* why */ PAUSE /* nested /* here */ */ app -- now", "PAUSE", "pause(app)"},
	} {
		t.Run(c.sql, func(t *testing.T) {
			b := newBench(t, true)
			if tags := b.tags(c.sql); len(tags) != 1 || tags[0] != c.tag {
				t.Errorf("tags %q, want %q", tags, c.tag)
			}
			b.wasAsked(c.asked)
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ sql, code, message, hint string }{
		{"SHOW FDS", codeFeature, "SHOW FDS is not supported", ""},
		{"show \"fds\"", codeFeature, "SHOW FDS is not supported", ""},
		{"SHOW POLS", codeSyntax, "invalid command 'SHOW POLS', use SHOW HELP;", "Did you mean SHOW POOLS?"},
		{"SELECT poolz", codeSyntax, "invalid command 'SELECT poolz', use SHOW HELP;", "Did you mean SHOW POOLS?"},
		{"PAUZE app", codeSyntax, "invalid command 'PAUZE app', use SHOW HELP;", "Did you mean PAUSE?"},
		{"RESUM", codeSyntax, "invalid command 'RESUM', use SHOW HELP;", "Did you mean RESUME?"},
		{"SELECT * FROM pg_class", codeSyntax, "invalid command 'SELECT * FROM pg_class', use SHOW HELP;", "The console runs no SQL. SHOW HELP lists its commands."},
		{"\"PAUSE\"", codeSyntax, "invalid command '\"PAUSE\"', use SHOW HELP;", "Did you mean PAUSE?"},
		{"SHOW", codeSyntax, "invalid command 'SHOW', use SHOW HELP;", ""},
		{"SELECT", codeSyntax, "invalid command 'SELECT', use SHOW HELP;", ""},
		{"SHOW POOLS WHERE x = 1", codeSyntax, "invalid command 'SHOW POOLS WHERE x = 1', use SHOW HELP;", "Did you mean SHOW POOLS?"},
		{"DISABLE", codeSyntax, "a database is required", ""},
		{"ENABLE", codeSyntax, "a database is required", ""},
		{"PAUSE pgbouncer", codeState, "cannot pause admin db: pgbouncer", ""},
		{"KILL spillway", codeState, "cannot kill admin db: spillway", ""},
		{"PAUSE a b", codeSyntax, "invalid arguments of PAUSE", "Write PAUSE [<db>] [TIMEOUT <duration>]"},
		{"PAUSE \"\"", codeArgument, "database name is empty", ""},
		{"PAUSE app TIMEOUT soon", codeArgument, "invalid duration 'soon'", "Write a duration above zero like 250ms, 5s or 2m."},
		{"PAUSE app TIMEOUT 0", codeArgument, "invalid duration '0'", "Write a duration above zero like 250ms, 5s or 2m."},
		{"PAUSE TIMEOUT -5s", codeSyntax, "invalid arguments of PAUSE", "Write PAUSE [<db>] [TIMEOUT <duration>]"},
		{"KILL_CLIENT", codeSyntax, "invalid arguments of KILL_CLIENT", "Write KILL_CLIENT <client_id>"},
		{"KILL_CLIENT all", codeArgument, "invalid client id 'all'", "SHOW CLIENTS has it in its last column."},
		{"KILL_CLIENT 0", codeArgument, "invalid client id '0'", "SHOW CLIENTS has it in its last column."},
		{"KILL_CLIENT 99999999999999999999", codeArgument, "invalid client id '99999999999999999999'", "SHOW CLIENTS has it in its last column."},
		{"RELOAD now", codeSyntax, "RELOAD takes no argument", ""},
		{"SHUTDOWN later", codeSyntax, "invalid arguments of SHUTDOWN", "Write SHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]"},
		{"SET", codeSyntax, "invalid SET", "Write SET key = 'value'."},
		{"SET x", codeSyntax, "invalid SET", "Write SET key = 'value'."},
		{"SET x =", codeSyntax, "invalid SET", "Write SET key = 'value'."},
		{"SET 'x' = 1", codeSyntax, "invalid SET", "Write SET key = 'value'."},
		{"PAUSE 'app", codeSyntax, "quoted text has no end", ""},
		{"PAUSE /* app", codeSyntax, "comment has no end", ""},
		{"PAUSE \xff\xfe", "", "", ""}, // a name as any other: the proxy does not know it
		{strings.Repeat(" ", maxQuery+1), codeLimit, "query is longer than the console's 64 KiB", ""},
		{strings.Repeat("PAUSE;", maxStatements+1), codeLimit, "query has more than 64 statements", ""},
	} {
		t.Run(echo(c.sql), func(t *testing.T) {
			b := newBench(t, true)
			if c.code == "" {
				b.tags(c.sql)
				return
			}
			r := b.failed(c.sql).report
			if r.Code != c.code || r.Message != c.message || r.Severity != "ERROR" || c.hint != "" && r.Hint != c.hint {
				t.Errorf("got %+v", r)
			}
			b.wasAsked()
		})
	}
}

func TestErrorsReachTheClient(t *testing.T) {
	for _, c := range []struct {
		err     error
		code    string
		message string
	}{
		{errors.New("no such database: app"), codeState, "no such database: app"},
		{fmt.Errorf("%w: %q", proxy.ErrNoDatabase, "app"), "3D000", "no such database: \"app\""},
		{fmt.Errorf("%w: 11", proxy.ErrNoClient), "42704", "no such client: 11"},
		{stated{"3D000"}, "3D000", "stated"},
		{stated{"bad"}, codeState, "stated"},
		{errors.New("two\x00parts \xff"), codeState, "two?parts ?"},
		{context.Canceled, codeCanceled, "canceling command due to its time limit or its client's request"},
	} {
		b := newBench(t, true)
		b.process.fail = c.err
		if r := b.failed("PAUSE app").report; r.Code != c.code || r.Message != c.message {
			t.Errorf("%v: got %+v", c.err, r)
		}
	}
}

type stated struct{ code string }

func (stated) Error() string      { return "stated" }
func (s stated) SQLState() string { return s.code }

func TestFactsFail(t *testing.T) {
	for _, c := range shows() {
		b := newBench(t, false)
		b.facts.fail = errFake
		switch c.name {
		case "SHOW CONFIG", "SHOW HELP", "SHOW MEM", "SHOW VERSION", "SHOW PEERS", "SHOW PEER_POOLS", "SHOW DNS_ZONES", "SHOW ACTIONS", "SHOW BANS":
			b.tags(c.name) // not the proxy's facts
		default:
			if r := b.failed(c.name).report; r.Message != errFake.Error() {
				t.Errorf("%s: got %+v", c.name, r)
			}
		}
	}
}

func TestPauseWithTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, true)
		b.process.block = true
		start := time.Now()
		r := b.failed("PAUSE app TIMEOUT 5s").report
		if r.Code != codeCanceled || r.Message != "PAUSE was not complete within 5s" || r.Detail != "The pause was withdrawn." {
			t.Errorf("got %+v", r)
		}
		if waited := time.Since(start); waited != 5*time.Second {
			t.Errorf("waited %v", waited)
		}
		b.process.block = false
		b.tags("PAUSE app TIMEOUT 5s")
	})
}

// TestPauseEndsWithItsClient: the client's end is not called a time limit.
func TestPauseEndsWithItsClient(t *testing.T) {
	b := newBench(t, true)
	b.process.block = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out, err := b.session.Message(ctx, 'Q', []byte("PAUSE TIMEOUT 1h\x00"), nil)
	reply := messages(t, out)
	if err != nil || reply[0].report.Code != codeCanceled || strings.Contains(reply[0].report.Message, "within") {
		t.Errorf("got %v, %s", err, transcript(reply))
	}
}

func TestReload(t *testing.T) {
	b := newBench(t, true)
	b.process.notes = []string{"listen: needs a restart"}
	if got := transcript(b.query("RELOAD")); got != "notice   00000 listen: needs a restart\ncomplete RELOAD\nready    I\n" {
		t.Errorf("got\n%s", got)
	}
	b.process.fail = errors.New("spillway.yaml:3:1: unknown key")
	if r := b.failed("RELOAD").report; r.Code != "F0000" || r.Detail != "spillway.yaml:3:1: unknown key" {
		t.Errorf("got %+v", r)
	}
}

func TestSeveralStatements(t *testing.T) {
	b := newBench(t, true)
	got := transcript(b.query("; PAUSE app;; SHOW VERSION; RESUME app;"))
	want := "complete PAUSE\ncolumns  version:text\nrow      PgBouncer 1.25.2\ncomplete SHOW\ncomplete RESUME\nready    I\n"
	if got != want {
		t.Errorf("got\n%s", got)
	}
	b.wasAsked("pause(app)", "resume(app)")

	reply := b.query("PAUSE app; NONSENSE; RESUME app")
	if len(reply) != 3 || reply[1].kind != 'E' {
		t.Errorf("got\n%s", transcript(reply))
	}
	b.wasAsked("pause(app)")
}

func TestEmptyQueries(t *testing.T) {
	for _, sql := range []string{"", ";", " ;; ", "-- ping", "/* nothing */", "--\n--"} {
		reply := newBench(t, false).query(sql)
		if len(reply) != 2 || reply[0].kind != 'I' || reply[1].kind != 'Z' {
			t.Errorf("%q: got\n%s", sql, transcript(reply))
		}
	}
}

// TestStartUpQueries is what psql and drivers ask before their user does.
func TestStartUpQueries(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"SELECT 1", "columns  ?column?:int4\nrow      1\ncomplete SELECT 1\nready    I\n"},
		{"select 1 as one;", "columns  one:int4\nrow      1\ncomplete SELECT 1\nready    I\n"},
		{"SELECT 'x'", "columns  ?column?:text\nrow      x\ncomplete SELECT 1\nready    I\n"},
		{"SELECT pg_catalog.pg_is_in_recovery()", "columns  pg_is_in_recovery:bool\nrow      f\ncomplete SELECT 1\nready    I\n"},
		{"SELECT version()", "columns  version:text\nrow      Spillway 0.1.0 (console of PgBouncer 1.25.2)\ncomplete SELECT 1\nready    I\n"},
		{"select current_schema()", "columns  current_schema:text\nrow      public\ncomplete SELECT 1\nready    I\n"},
		{"SHOW client_encoding", "columns  client_encoding:text\nrow      UTF-8\ncomplete SHOW\nready    I\n"},
		{"SELECT DateStyle", "columns  datestyle:text\nrow      ISO\ncomplete SHOW\nready    I\n"},
		{"SHOW timezone", "columns  timezone:text\nrow      GMT\ncomplete SHOW\nready    I\n"},
		{"SHOW standard_conforming_strings", "columns  standard_conforming_strings:text\nrow      on\ncomplete SHOW\nready    I\n"},
		{"SHOW default_transaction_isolation", "columns  default_transaction_isolation:text\nrow      read committed\ncomplete SHOW\nready    I\n"},
		{"SHOW TRANSACTION ISOLATION LEVEL", "columns  transaction_isolation_level:text\nrow      read committed\ncomplete SHOW\nready    I\n"},
		{"SHOW transaction_read_only", "columns  transaction_read_only:text\nrow      off\ncomplete SHOW\nready    I\n"},
		{"SET client_encoding = 'UTF8'", "notice   00000 SET ignored\ncomplete SET\nready    I\n"},
		{"SET NAMES 'utf8'", "notice   00000 SET ignored\ncomplete SET\nready    I\n"},
		{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "notice   00000 SET ignored\ncomplete SET\nready    I\n"},
		{"SET SESSION datestyle TO ISO", "notice   00000 SET ignored\ncomplete SET\nready    I\n"},
		{"SET TIME ZONE 'UTC'", "notice   00000 SET ignored\ncomplete SET\nready    I\n"},
		{"SET extra_float_digits = 3", "notice   00000 SET ignored\ncomplete SET\nready    I\n"},
		{"SET application_name = 'psql'", "notice   00000 SET ignored\ncomplete SET\nready    I\n"},
		{"SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;", "columns  pg_advisory_unlock_all:text\nrow      \n" +
			"complete SELECT 1\ncomplete CLOSE CURSOR ALL\ncomplete UNLISTEN\ncomplete RESET\nready    I\n"},
		{"DISCARD ALL", "complete DISCARD ALL\nready    I\n"},
		{"DEALLOCATE ALL", "complete DEALLOCATE\nready    I\n"},
		{"RESET ALL", "complete RESET\nready    I\n"},
		{"SELECT POOLS", transcript(newBench(t, false).query("SHOW POOLS"))},
		{"show stats totals", transcript(newBench(t, false).query("SHOW STATS_TOTALS"))},
	} {
		b := newBench(t, false)
		if got := transcript(b.query(c.sql)); got != c.want {
			t.Errorf("%s: got\n%s", c.sql, got)
		}
		b.wasAsked()
	}
}

// TestTransactionState: drivers that open a transaction believe ReadyForQuery.
func TestTransactionState(t *testing.T) {
	b := newBench(t, true)
	for _, c := range []struct {
		sql   string
		state byte
		tag   string
	}{
		{"BEGIN", 'T', "BEGIN"}, {"PAUSE app", 'T', "PAUSE"}, {"COMMIT", 'I', "COMMIT"},
		{"START TRANSACTION READ ONLY", 'T', "START TRANSACTION"}, {"NONSENSE", 'E', ""}, {"SHOW VERSION", 'E', "SHOW"},
		{"COMMIT", 'I', "ROLLBACK"}, {"NONSENSE", 'I', ""}, {"ROLLBACK", 'I', "ROLLBACK"},
	} {
		reply := b.query(c.sql)
		if got := reply[len(reply)-1].state; got != c.state {
			t.Errorf("%s: state %q, want %q", c.sql, got, c.state)
		}
		if tag := reply[len(reply)-2].tag; tag != c.tag {
			t.Errorf("%s: tag %q, want %q", c.sql, tag, c.tag)
		}
	}
}

func TestConfigIsRedacted(t *testing.T) {
	got := transcript(newBench(t, true).query("SHOW CONFIG"))
	if strings.Contains(got, "hunter2") {
		t.Errorf("a secret is shown:\n%s", got)
	}
}

// TestCloseWhileAMessageRuns: the proxy closes when the client goes, whatever
// runs then.
func TestCloseWhileAMessageRuns(t *testing.T) {
	b := newBench(t, true)
	b.process.block = true
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := b.session.Message(ctx, 'Q', []byte("PAUSE\x00"), nil)
		if err == nil {
			_, err = b.session.Message(ctx, 'P', []byte("s\x00PAUSE\x00\x00\x00"), nil)
		}
		done <- err
	}()
	b.session.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// skewedFacts has clients and servers of different moments: since the clients
// were read, client 11 gave its server back and client 12 took it.
type skewedFacts struct{ fakeFacts }

func (*skewedFacts) Clients(context.Context) ([]proxy.ConnStat, error) {
	return []proxy.ConnStat{
		{ID: 11, Kind: 'C', Database: "app", User: "api", State: "active", Link: 21, CheckedOutAt: now},
		{ID: 12, Kind: 'C', Database: "app", User: "api", State: "waiting"},
		{ID: 14, Kind: 'C', Database: "app", User: "api", State: "active", Link: 99, CheckedOutAt: now}, // its server is gone
	}, nil
}

func (*skewedFacts) Servers(context.Context) ([]proxy.ConnStat, error) {
	return []proxy.ConnStat{
		{ID: 21, Kind: 'S', Database: "app", User: "api", State: "active", Link: 12, RemotePID: 1001},
		{ID: 22, Kind: 'S', Database: "app", User: "api", State: "active", Link: 12, RemotePID: 1002},
		{ID: 23, Kind: 'S', Database: "app", User: "api", State: "idle", RemotePID: 1003},
	}, nil
}

func TestHoldersOfTwoMoments(t *testing.T) {
	b := newBench(t, false)
	b.console.Facts = &skewedFacts{}
	var got []string
	for _, m := range b.query("SHOW HOLDERS") {
		if m.kind == 'D' {
			got = append(got, fmt.Sprintf("%s/%s", m.values[0], m.values[6]))
		}
	}
	if strings.Join(got, " ") != "11/1001 14/" {
		t.Errorf("got %q", got)
	}
}
