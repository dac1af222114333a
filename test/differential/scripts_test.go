package differential

import "slices"

// fixture is what scripts may read (nums), write without reading (sink), and
// call.
const fixture = `
CREATE TABLE nums (id int PRIMARY KEY, name text NOT NULL, half float8);
INSERT INTO nums SELECT i, 'n' || i, i / 2.0 FROM generate_series(1, 100) i;
CREATE TABLE sink (id int, v text);
CREATE TABLE odd (n int CONSTRAINT must_be_odd CHECK (n % 2 = 1));
CREATE FUNCTION noisy(level text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'a notice %', level USING HINT = 'just so', DETAIL = 'none';
	RAISE WARNING 'a warning';
	IF level = 'error' THEN
		RAISE EXCEPTION 'an error' USING ERRCODE = 'SP001', DETAIL = 'the detail', HINT = 'the hint', TABLE = 'nums', COLUMN = 'id';
	END IF;
	RETURN 1;
END $$;
CREATE ROLE plain_role NOLOGIN;
CREATE ROLE login_role LOGIN;
GRANT SELECT ON nums TO plain_role;
`

// goldenScripts are all scripts that are written by hand.
func goldenScripts() []script {
	return slices.Concat(simpleScripts(), stateScripts(), extendedScripts(), pipelineScripts(), copyScripts(), largeScripts())
}

func simpleScripts() []script {
	return []script{
		{name: "simple", steps: []step{
			say(q("SELECT 1")), say(q("SELECT id, name, half, NULL AS nothing FROM nums WHERE id < 4 ORDER BY id")),
			say(q("SELECT 1 WHERE false")), say(q("VALUES ('ünïcode 🐘', E'tab\\there')")),
			say(q("INSERT INTO sink VALUES (1, 'a'), (2, 'b')")), say(q("UPDATE nums SET half = half WHERE id < 3")),
			hangUp(),
		}},
		{name: "empty", steps: []step{
			say(q("")), say(q(";")), say(q("  \n ")), say(q("-- a comment")), say(q("/* another */;;")), say(q("SELECT 1;;SELECT 2;")),
		}},
		{name: "several statements", steps: []step{
			say(q("SELECT 1; SELECT 'two'; SELECT 3 WHERE false")),
			say(q("SELECT 1; SELECT 1/0; SELECT 3")),
			say(q("BEGIN; SELECT 1")), say(q("SELECT 2; COMMIT; SELECT 3")),
			say(q("INSERT INTO sink VALUES (1, 'gone'); SELECT 1/0")),
			say(q("SELECT 1; BEGIN; SELECT 2; ROLLBACK; SELECT 3")),
			say(q("SELECT 1; SELECT nonsense; SELECT 3")), say(q("BEGIN; SELECT 1; COMMIT; BEGIN")), say(q("ROLLBACK")),
		}},
		{name: "errors", steps: []step{
			say(q("SELEC 1")), say(q("SELECT * FROM no_such_table")), say(q("SELECT 1/0")),
			say(q("INSERT INTO odd VALUES (2)")), say(q("INSERT INTO nums VALUES (1, 'twice', 0)")),
			say(q("SELECT noisy('error')")), say(q("SELECT 'x'::int")),
			say(q("BEGIN")), say(q("SELECT 1/0")), say(q("SELECT 1")), say(q("SELECT 2")), say(q("COMMIT")), say(q("SELECT 1")),
		}},
		{name: "notices", steps: []step{
			say(q("SELECT noisy('x')")), say(q("SET client_min_messages = warning; SELECT noisy('y'); RESET client_min_messages")),
			say(q("COMMIT")), say(q("BEGIN")), say(q("BEGIN")), say(q("ROLLBACK")), say(q("DROP TABLE IF EXISTS not_there")),
		}},
		{name: "transactions", steps: []step{
			say(q("BEGIN")), say(q("SAVEPOINT a")), say(q("SELECT 1/0")), say(q("ROLLBACK TO a")), say(q("SELECT 1")),
			say(q("RELEASE a")), say(q("COMMIT AND CHAIN")), say(q("SELECT 2")), say(q("ROLLBACK")),
			say(q("START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY")), say(q("SHOW transaction_isolation")),
			say(q("INSERT INTO sink VALUES (1, 'no')")), say(q("END")), say(q("SHOW transaction_read_only")),
		}},
		{name: "cursors", steps: []step{
			say(q("BEGIN")), say(q("DECLARE c CURSOR FOR SELECT id FROM nums ORDER BY id")), say(q("FETCH 3 FROM c")),
			say(q("MOVE 5 IN c")), say(q("FETCH NEXT FROM c; FETCH ALL FROM c")), say(q("CLOSE c")), say(q("FETCH 1 FROM c")), say(q("ROLLBACK")),
		}},
		{name: "function call", steps: []step{
			say(call(177, int4(40), int4(2))), // int4pl
			say(call(4242424, int4(1))),       // no such function
			say(call(154, int4(1), int4(0))),  // int4div by zero
			say(q("BEGIN")), say(call(154, int4(1), int4(0))), say(call(177, int4(1), int4(2))), say(q("ROLLBACK")),
			say(call(177, int4(1), nil)),
		}},
	}
}

func int4(n int32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }
