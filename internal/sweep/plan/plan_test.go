package plan

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/target"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tables = `
CREATE SCHEMA app;
CREATE TABLE app.sessions (id bigint PRIMARY KEY, user_id int NOT NULL, token text, expires_at timestamptz NOT NULL, day date, note text);
INSERT INTO app.sessions SELECT i, i % 100, md5(i::text), now() + (i - 5000) * interval '1 min', current_date, NULL FROM generate_series(1, 10000) i;
CREATE INDEX sessions_expiry ON app.sessions (expires_at);
CREATE TABLE app.plain (at timestamptz, n int);
INSERT INTO app.plain SELECT now() - i * interval '1 s', i FROM generate_series(1, 5000) i;
CREATE TABLE app.parent (id int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE app.child (id int PRIMARY KEY, parent_id int REFERENCES app.parent ON DELETE CASCADE);
CREATE TABLE app.parent2 (id int PRIMARY KEY);
CREATE TABLE app.child2 (id int PRIMARY KEY, parent_id int REFERENCES app.parent2 ON DELETE CASCADE);
CREATE INDEX ON app.child2 (parent_id);
CREATE VIEW app.seen AS SELECT * FROM app.sessions;
CREATE MATERIALIZED VIEW app.kept AS SELECT 1 AS id;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE app.far (id int) SERVER elsewhere;
CREATE TABLE app.ruled (id int PRIMARY KEY); CREATE RULE r AS ON DELETE TO app.ruled DO INSTEAD NOTHING;
CREATE TABLE app.old (id int PRIMARY KEY); CREATE TABLE app.older () INHERITS (app.old);
CREATE TABLE app.hidden (id int PRIMARY KEY); ALTER TABLE app.hidden ENABLE ROW LEVEL SECURITY;
CREATE TABLE app.published (id int); CREATE PUBLICATION p FOR TABLE app.published;
CREATE FUNCTION app.dice() RETURNS float8 LANGUAGE sql VOLATILE AS 'SELECT random()';
CREATE FUNCTION app.late(timestamptz) RETURNS bool LANGUAGE sql STABLE AS 'SELECT $1 < now()';
CREATE FUNCTION app.even(bigint) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2 = 0';
CREATE FUNCTION app.now() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$SELECT '2000-01-01'::timestamptz$$;
CREATE FUNCTION app.draws(int, int) RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT $1 < random() * $2';
CREATE OPERATOR app.<~ (LEFTARG = int, RIGHTARG = int, FUNCTION = app.draws);
CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA app TO reader; GRANT SELECT ON app.sessions TO reader;
CREATE ROLE sweeper LOGIN; GRANT USAGE ON SCHEMA app TO sweeper; GRANT SELECT, DELETE ON app.sessions, app.hidden TO sweeper;
ALTER TABLE app.hidden OWNER TO postgres;
CREATE SCHEMA spillway AUTHORIZATION sweeper;
CREATE TABLE app.parts (at date NOT NULL, n int) PARTITION BY RANGE (at);
CREATE TABLE app.parts_1 PARTITION OF app.parts FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
CREATE TABLE app.parts_2 PARTITION OF app.parts FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
CREATE TABLE app.parts_3 PARTITION OF app.parts FOR VALUES FROM ('2020-03-01') TO ('2020-04-01');
INSERT INTO app.parts SELECT '2020-01-01'::date + i % 91, i FROM generate_series(1, 9000) i;
CREATE TABLE app.mixed (id int, at date NOT NULL) PARTITION BY RANGE (at);
CREATE FOREIGN TABLE app.mixed_far PARTITION OF app.mixed FOR VALUES FROM ('2020-01-01') TO ('2020-02-01') SERVER elsewhere;
ANALYZE app.sessions, app.plain, app.parts, app.parent, app.parent2, app.child2;`

// start makes the tables and a way to plan over them.
func start(t *testing.T) (*pgtest.Server, func(user string, o Order) (*Plan, error)) {
	s := pgtest.Start(t, pgtest.Options{})
	s.Exec(t, tables)
	return s, func(user string, o Order) (*Plan, error) {
		c, err := target.Parse(s.URL(pgtest.Login{User: user}))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := target.Connect(t.Context(), c, "test")
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close(conn)
		return Make(t.Context(), conn, o)
	}
}

// TestRefusals: one clear error each, with the mend, and nothing changed.
func TestRefusals(t *testing.T) {
	s, plan := start(t)
	tests := []struct{ name, user, table, where, want string }{
		{"no such table", "", "app.nothing", "true", "there is no table app.nothing"},
		{"no name", "", "", "true", "no table is named"},
		{"not a name", "", `app."x`, "true", "is no table's name"},
		{"injected name", "", "app.sessions; DROP TABLE app.plain", "true", "is no table's name"},
		{"view", "", "app.seen", "true", "is a view, not a table"},
		{"materialized view", "", "app.kept", "true", "is a materialized view"},
		{"foreign table", "", "app.far", "true", "is a foreign table"},
		{"foreign partition", "", "app.mixed", "true", `partition "app"."mixed_far" of "app"."mixed" is a foreign table`},
		{"index", "", "app.sessions_expiry", "true", "is an index"},
		{"catalog", "", "pg_class", "true", "belongs to PostgreSQL"},
		{"rule", "", "app.ruled", "true", "has a rule on DELETE"},
		{"inheritance", "", "app.old", "true", "other tables inherit"},
		{"cascade without an index", "", "app.parent", "at < now()", `CREATE INDEX CONCURRENTLY ON app.child ("parent_id")`},
		{"published without identity", "", "app.published", "true", "has no replica identity"},
		{"no right to delete", "reader", "app.sessions", "true", `GRANT SELECT, DELETE ON "app"."sessions" TO "reader"`},
		{"row security", "sweeper", "app.hidden", "true", "row security hides rows"},
		{"no condition", "", "app.sessions", " ", "no condition is given"},
		{"does not parse", "", "app.sessions", "expires_at <", "does not take the condition"},
		{"no such column", "", "app.sessions", "expired < now()", `column "expired" does not exist`},
		{"not boolean", "", "app.sessions", "id", "must be type boolean"},
		{"another statement", "", "app.sessions", "true); DROP TABLE app.plain; --", "does not take the condition"},
		{"breaks out of parentheses", "", "app.sessions", "false) OR (true", "is not one expression"},
		{"breaks out of CASE", "", "app.sessions", "false THEN false ELSE true END OR CASE WHEN true", "does not take the condition"},
		{"a query", "", "app.sessions", "SELECT true", "is not one expression"},
		{"an open comment", "", "app.sessions", "true /*", "does not take the condition"},
		{"an open string", "", "app.sessions", "token = 'x", "does not take the condition"},
		{"clauses", "", "app.sessions", "true LIMIT 1", "does not take the condition"},
		{"aggregate", "", "app.sessions", "count(*) > 1", "aggregate functions are not allowed"},
		{"set", "", "app.sessions", "generate_series(1, 2) = 1", "not allowed"},
		{"parameter", "", "app.sessions", "id = $1", "has parameters"},
		{"zero byte", "", "app.sessions", "true\x00", "zero byte"},
		{"too long", "", "app.sessions", strings.Repeat("(", 70_000), "longer than"},
		{"too deep", "", "app.sessions", strings.Repeat("(", 30_000), "does not take the condition"},
		{"volatile", "", "app.sessions", "random() < 0.5", "random(), which is VOLATILE"},
		{"clock_timestamp", "", "app.sessions", "expires_at < clock_timestamp()", "clock_timestamp(), which is VOLATILE"},
		{"volatile of one's own", "", "app.sessions", "app.dice() < 0.5", "app.dice(), which is VOLATILE"},
		{"volatile operator", "", "app.sessions", "user_id OPERATOR(app.<~) 5", "app.draws(integer,integer), which is VOLATILE"},
		{"volatile in a subquery", "", "app.sessions", "EXISTS (SELECT 1 FROM app.plain WHERE random() < 0.5)", "VOLATILE"},
		{"stable of one's own", "", "app.sessions", "app.late(expires_at)", "which is STABLE"},
		{"stable that moves", "", "app.sessions", "age(expires_at) > interval '1 day'", "which is STABLE"},
		{"settings", "", "app.sessions", "token = current_setting('x.y', true)", "which is STABLE"},
		{"CURRENT_TIME", "", "app.sessions", "current_time > '10:00'", "CURRENT_TIME"},
		{"fails on rows", "", "app.sessions", "1 / (user_id - 5) > 0", "fails on some rows"},
	}
	before := s.Value(t, "SELECT count(*) || '/' || (SELECT count(*) FROM pg_class) FROM app.sessions")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := plan(test.user, Order{Table: test.table, Where: test.where})
			var refusal *target.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v (plan %v), want %q", err, p != nil, test.want)
			}
			if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 600) {
				t.Errorf("not one clear line: %v", err)
			}
		})
	}
	if after := s.Value(t, "SELECT count(*) || '/' || (SELECT count(*) FROM pg_class) FROM app.sessions"); after != before {
		t.Errorf("%s rows/relations, %s before", after, before)
	}
}

// TestConditions: what is taken, and what it becomes with the time standing still.
func TestConditions(t *testing.T) {
	s, plan := start(t)
	for _, where := range []string{
		"expires_at < now()", "expires_at < CURRENT_TIMESTAMP(0)", "expires_at < transaction_timestamp() - interval '1 day'",
		"day < current_date", "expires_at < localtimestamp", "expires_at::date < current_date AND token LIKE 'a''now()%'",
		`"expires_at" < now() /* now() */ -- now()`, "app.even(id) AND expires_at < now()", "expires_at < app.now()",
		"to_char(expires_at, 'YYYY') < '2020'", "date_trunc('day', expires_at) < now()", "note IS NULL AND token = E'\\'now()\\\\'",
		"NOT EXISTS (SELECT 1 FROM app.plain WHERE plain.n = sessions.user_id AND plain.at < now())", "expires_at < 'now'", "(expires_at, id) < (now(), 5)", "localtime > '00:00'",
	} {
		p, err := plan("", Order{Table: "app.sessions", Where: where})
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		fixed := p.Condition.At(p.Cutoff)
		// Right away it means the same rows, whatever the search path is.
		same := s.Value(t, "SELECT count(*) FILTER (WHERE ("+where+"\n) IS DISTINCT FROM "+fixed+") || '' FROM app.sessions AS sessions WHERE abs(extract(epoch from expires_at - now())) > 20")
		if same != "0" {
			t.Errorf("%s became %s, which differs for %s rows", where, fixed, same)
		}
		if again := p.Condition.At(p.Cutoff); again != fixed {
			t.Errorf("%s is %s once and %s then", where, fixed, again)
		}
	}
	p, err := plan("", Order{Table: "app.sessions", Where: "token = 'now()' AND expires_at < now()"})
	if err != nil || !strings.Contains(p.Condition.At(p.Cutoff), "'now()'") || strings.Count(p.Condition.At(p.Cutoff), "now()") != 1 {
		t.Errorf("text that looks like a clock: %v, %v", p, err)
	}
}

// TestChoice: the strategy follows what is doomed and what the table offers.
func TestChoice(t *testing.T) {
	s, plan := start(t)
	s.Exec(t, "CREATE INDEX CONCURRENTLY plain_n ON app.plain (n)")
	tests := []struct {
		order Order
		want  Strategy
	}{
		{Order{Table: "app.sessions", Where: "expires_at < now()"}, TID},
		{Order{Table: "app.sessions", Where: "expires_at < now() - interval '82 hours'"}, Keyset},
		{Order{Table: "app.sessions", Where: "user_id = 5"}, TID},
		{Order{Table: "app.sessions", Where: "id < 100"}, Keyset},
		{Order{Table: "app.plain", Where: "at < now()"}, TID},
		{Order{Table: "app.plain", Where: "true", Strategy: Copy}, Copy},
		{Order{Table: "app.parts", Where: "at < '2020-02-15'"}, Drop},
		{Order{Table: "app.parts", Where: "at < '2020-02-15'", KeepIn: "app.gone"}, TID},
		{Order{Table: "app.parts", Where: "n < 10"}, TID},
		{Order{Table: "app.parent2", Where: "id < 10"}, Keyset},
	}
	for _, test := range tests {
		p, err := plan("", test.order)
		if err != nil {
			t.Errorf("%+v: %v", test.order, err)
			continue
		}
		if p.Chosen != test.want {
			t.Errorf("%+v: %s (%s), want %s", test.order, p.Chosen, p.Why, test.want)
		}
		if text := p.Text(); !strings.Contains(text, "* "+string(test.want)) {
			t.Errorf("text lacks the choice:\n%s", text)
		}
	}
	p, err := plan("", Order{Table: "app.parts", Where: "at < '2020-02-15'"})
	if err != nil || len(p.Legs) != 2 || p.Legs[0].Strategy != Drop || p.Legs[1].Strategy != TID {
		t.Errorf("legs %+v, %v", p.Legs, err)
	}
	p, err = plan("", Order{Table: "app.sessions", Where: "user_id = 5"})
	if err != nil || len(p.Missing) != 1 || !strings.Contains(p.Missing[0], "CREATE INDEX CONCURRENTLY") {
		t.Errorf("missing %v, %v", p, err)
	}
	for _, o := range []Order{
		{Table: "app.plain", Where: "true", Strategy: PK}, {Table: "app.plain", Where: "at < now()", Strategy: Keyset},
		{Table: "app.sessions", Where: "true", Strategy: Drop}, {Table: "app.sessions", Where: "id < 5", Strategy: Copy},
		{Table: "app.sessions", Where: "true", Strategy: "magic"}, {Table: "app.sessions", Where: "true", Strategy: Copy, KeepIn: "app.gone"},
	} {
		var refusal *target.Refusal
		if _, err := plan("", o); !errors.As(err, &refusal) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestNoOrder: without pages in order and without a key nothing can be resumed.
func TestNoOrder(t *testing.T) {
	p := &Plan{Order: Order{Strategy: Auto}, Condition: &target.Condition{}, Table: &target.Table{Name: "t", Server: target.Server{Version: 130_000}, Leaves: []target.Leaf{{Method: "heap"}}}}
	var refusal *target.Refusal
	if err := p.choose(&known{}); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "give the table a primary key") {
		t.Errorf("got %v", err)
	}
	p.Table.PrimaryKey = []target.Column{{Name: "id", Type: "bigint"}}
	if err := p.choose(&known{}); err != nil || p.Chosen != PK {
		t.Errorf("got %s, %v", p.Chosen, err)
	}
}
