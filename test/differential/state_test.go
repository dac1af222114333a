package differential

// stateScripts change what a session remembers.
func stateScripts() []script {
	return []script{
		{name: "reported parameters", steps: []step{
			say(q("SET TimeZone = 'Asia/Tokyo'")), say(q("SHOW TimeZone")), say(q("SET application_name = 'one'; SET application_name = 'two'")),
			say(q("SHOW application_name")), say(q("SET DateStyle = 'German'; SELECT date '2026-11-21'")), say(q("SELECT date '2026-11-21'")),
			say(q("SET client_encoding = 'LATIN1'")), say(q("SHOW client_encoding")), say(q("RESET client_encoding")),
			say(q("BEGIN; SET LOCAL TimeZone = 'UTC'")), say(q("SHOW TimeZone")), say(q("COMMIT")), say(q("SHOW TimeZone")),
			say(q("BEGIN; SET TimeZone = 'America/Lima'")), say(q("SHOW TimeZone")), say(q("ROLLBACK")), say(q("SHOW TimeZone")),
			say(q("SELECT set_config('TimeZone', 'Europe/Berlin', false)")), say(q("SHOW TimeZone")),
			say(q("RESET ALL")), say(q("SHOW TimeZone; SHOW application_name")), say(q("SET TimeZone = 'nowhere/land'")),
		}},
		{name: "parameters of the startup packet", params: map[string]string{
			"application_name": "first", "TimeZone": "Asia/Kolkata", "DateStyle": "ISO, DMY", "client_encoding": "UTF8",
			"options": "-c statement_timeout=54321 -c search_path=pg_catalog,public",
		}, steps: []step{
			say(q("SHOW application_name; SHOW TimeZone; SHOW DateStyle")), say(q("SHOW statement_timeout; SHOW search_path")),
			say(q("SET statement_timeout = 1000; SET application_name = 'changed'")), say(q("SHOW statement_timeout; SHOW application_name")),
			say(q("RESET statement_timeout; RESET application_name")), say(q("SHOW statement_timeout; SHOW application_name")),
		}},
		{name: "unreported parameters", steps: []step{
			say(q("SET search_path = pg_catalog")), say(q("SHOW search_path")), say(q("SELECT count(*) FROM nums")),
			say(q("SET search_path = public, pg_catalog")), say(q("SELECT count(*) FROM nums")), say(q("SET work_mem = '7MB'")), say(q("SHOW work_mem")),
			say(q("BEGIN; SET work_mem = '9MB'; ROLLBACK")), say(q("SHOW work_mem")), say(q("RESET work_mem")),
			say(q("SET my.own = 'x'")), say(q("SELECT current_setting('my.own')")), say(q("DISCARD ALL")), say(q("SHOW search_path")),
		}},
		{name: "roles", steps: []step{
			say(q("SET ROLE plain_role")), say(q("SELECT current_user, session_user")), say(q("INSERT INTO nums VALUES (1000, 'no', 0)")),
			say(q("RESET ROLE")), say(q("SELECT current_user")), say(q("SET SESSION AUTHORIZATION login_role")), say(q("SELECT current_user, session_user")),
			say(q("RESET SESSION AUTHORIZATION")), say(q("SELECT current_user, session_user")),
			say(q("BEGIN; SET LOCAL ROLE plain_role")), say(q("SELECT current_user")), say(q("COMMIT")), say(q("SELECT current_user")),
		}},
		{name: "prepare in SQL", steps: []step{
			say(q("PREPARE p1 (int) AS SELECT name FROM nums WHERE id = $1")), say(q("EXECUTE p1(3)")), say(q("EXECUTE p1(4)")),
			say(q("PREPARE p1 AS SELECT 1")), say(q("DEALLOCATE p1")), say(q("EXECUTE p1(3)")), say(q("PREPARE p1 AS SELECT 'other'")), say(q("EXECUTE p1")),
			say(q("DEALLOCATE ALL")), say(q("EXECUTE p1")), say(q("DEALLOCATE nothing")),
			say(q("BEGIN")), say(q("PREPARE p2 AS SELECT 2")), say(q("ROLLBACK")), say(q("EXECUTE p2")), say(q("DISCARD ALL")), say(q("EXECUTE p2")),
		}},
		{name: "temporary tables", steps: []step{
			say(q("CREATE TEMP TABLE scratch (n int)")), say(q("INSERT INTO scratch SELECT generate_series(1, 5)")), say(q("SELECT sum(n) FROM scratch")),
			say(unit("SELECT n FROM scratch WHERE n > $1 ORDER BY n", "3")...), say(q("DISCARD TEMP")), say(q("SELECT sum(n) FROM scratch")),
			say(q("BEGIN; CREATE TEMP TABLE brief (n int) ON COMMIT DROP; INSERT INTO brief VALUES (1)")), say(q("SELECT * FROM brief")), say(q("COMMIT")), say(q("SELECT * FROM brief")),
		}},
		{name: "cursor with hold", steps: []step{
			say(q("BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT id FROM nums ORDER BY id; COMMIT")), say(q("FETCH 2 FROM h")), say(q("SELECT 1")),
			say(q("FETCH 2 FROM h")), say(q("CLOSE h")), say(q("FETCH 1 FROM h")),
		}},
		{name: "advisory locks", steps: []step{
			say(q("SELECT pg_advisory_lock_shared(77)")), say(q("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")),
			say(q("SELECT pg_advisory_unlock_shared(77)")), say(q("SELECT pg_advisory_unlock_shared(77)")),
			say(q("BEGIN; SELECT pg_advisory_xact_lock_shared(78)")), say(q("SELECT 1")), say(q("COMMIT")),
			say(q("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")),
		}},
		{name: "notifications", alone: true, steps: []step{
			say(q("LISTEN mine")), say(q("NOTIFY mine, 'one'")), say(q("BEGIN; NOTIFY mine, 'two'; NOTIFY mine, 'two'; NOTIFY mine, 'three'")),
			say(q("COMMIT")), say(q("BEGIN; NOTIFY mine, 'never'; ROLLBACK")), say(unit("SELECT pg_notify('mine', $1)", "four")...),
			say(q("UNLISTEN mine")), say(q("NOTIFY mine, 'five'")), say(q("SELECT 1")),
		}},
	}
}
