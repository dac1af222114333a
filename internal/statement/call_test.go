package statement

import "testing"

// TestCalls holds that a call of an unknown function is seen wherever an
// expression may stand. PostgreSQL 15 was asked about every key word in these
// places; the words here are those that introduce an expression.
func TestCalls(t *testing.T) {
	frames := []string{
		"SELECT f(1)", "SELECT 1, f(1)", "SELECT (f(1))", "SELECT -f(1)", "SELECT !f(1)", "SELECT 1 + f (1)", "SELECT a.f(1)", "SELECT a . f /* x */ ( 1 )",
		`SELECT "f"(1)`, `SELECT "Count"(1)`, `SELECT "a"."f"(1)`, `SELECT U&"\0066"(1)`, `SELECT "count"""(1)`, "SELECT db.pg_catalog.count(1)",
		"SELECT DISTINCT f(1)", "SELECT ALL f(1)", "SELECT DISTINCT ON (a) f(1) FROM t", "SELECT a OPERATOR(public.+) f(1)", "SELECT OPERATOR(public.-) f(1)",
		"SELECT operator(1)", "SELECT 1, operator(1)", "SELECT by(1)", "SELECT over(1)", "SELECT filter(1)", "SELECT conflict(1)", "SELECT sets(1)",
		"SELECT * FROM f(1)", "SELECT * FROM t, f(1)", "SELECT * FROM t JOIN f(1) ON true", "SELECT * FROM t, LATERAL f(1)", "SELECT * FROM ROWS FROM (f(1))",
		"SELECT 1 WHERE f(1)", "SELECT 1 WHERE NOT f(1)", "SELECT 1 WHERE a AND f(1)", "SELECT 1 WHERE a IN (f(1))", "SELECT 1 WHERE a BETWEEN f(1) AND 2",
		"SELECT 1 WHERE a BETWEEN SYMMETRIC f(1) AND 2", "SELECT 1 WHERE a LIKE f(1)", "SELECT 1 WHERE a LIKE 'x' ESCAPE f(1)", "SELECT 1 WHERE a IS DISTINCT FROM f(1)",
		"SELECT 1 WHERE a SIMILAR TO f(1)", "SELECT a AT TIME ZONE f(1)", "SELECT a COLLATE x || f(1)", "SELECT CASE f(1) WHEN 1 THEN 2 END",
		"SELECT CASE WHEN f(1) THEN 2 END", "SELECT CASE WHEN a THEN f(1) END", "SELECT CASE WHEN a THEN 1 ELSE f(1) END", "SELECT ARRAY[f(1)]", "SELECT a[f(1)]",
		"SELECT ROW(f(1))", "SELECT count(f(1))", "SELECT count(*) FILTER (WHERE f(1))", "SELECT count(*) OVER (PARTITION BY f(1))",
		"SELECT count(*) OVER (ORDER BY a ROWS f(1) PRECEDING)", "SELECT extract(year FROM f(1))", "SELECT overlay(a PLACING f(1) FROM 1)", "SELECT trim(LEADING f(1) FROM a)",
		"SELECT substring(a FROM f(1) FOR 2)", "SELECT substring(a FROM 1 FOR f(1))", "SELECT position(a IN f(1))", "SELECT coalesce(a, f(1))", "SELECT cast(f(1) AS int)",
		"SELECT f(1)::int", "SELECT 1::numeric(10,2) + f(1)", "SELECT count(VARIADIC f(1))", "SELECT count(a => f(1))", "SELECT count(a := f(1))",
		"SELECT 1 GROUP BY f(1)", "SELECT 1 GROUP BY a, f(1)", "SELECT 1 GROUP BY ROLLUP (f(1))", "SELECT 1 ORDER BY f(1)", "SELECT 1 ORDER BY cube(1)", "SELECT 1 ORDER BY a USING <, f(1)",
		"SELECT 1 HAVING f(1)", "SELECT 1 LIMIT f(1)", "SELECT 1 OFFSET f(1)", "SELECT 1 FETCH FIRST f(1) ROWS ONLY", "SELECT 1 FETCH FIRST (f(1)) ROWS ONLY",
		"SELECT 1 UNION SELECT f(1)", "VALUES (f(1))", "VALUES (1), (f(1))", "SELECT * FROM t TABLESAMPLE f(1)", "SELECT * FROM t TABLESAMPLE system(1) REPEATABLE (f(1))",
		"WITH a AS (SELECT f(1)) SELECT 1", "WITH a AS (SELECT 1) SELECT f(1)", "WITH a AS (SELECT 1) (SELECT 1) ORDER BY 1, f(1)",
		"WITH a AS (SELECT 1) SEARCH DEPTH FIRST BY a SET s (SELECT 1) ORDER BY 1, f(1)", "WITH a AS (SELECT 1), b(x) AS (SELECT f(1)) SELECT 1",
		"INSERT INTO t SELECT f(1)", "INSERT INTO t (a) VALUES (f(1))", "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = f(1)",
		"INSERT INTO t VALUES (1) RETURNING f(1)", "INSERT INTO t VALUES (1) RETURNING WITH (OLD AS o) f(1)", "UPDATE t SET a = f(1)", "UPDATE t SET (a, b) = (f(1), 2)",
		"UPDATE t SET a = 1 FROM f(1)", "DELETE FROM t USING f(1)", "DELETE FROM t WHERE f(1)", "MERGE INTO t USING s ON f(1) WHEN MATCHED THEN DELETE",
		"MERGE INTO t USING s ON a WHEN NOT MATCHED THEN INSERT VALUES (f(1))",
		"MERGE INTO t USING s ON a WHEN MATCHED THEN UPDATE SET a = CASE WHEN b THEN insert(1) END", "SELECT CASE WHEN b THEN insert(1) END", "SELECT xmltable(f(1))", "SELECT json_value(a, '$' DEFAULT f(1) ON EMPTY)",
		"SELECT json_object(KEY f(1) VALUE 2)", "SELECT json_object('a' VALUE f(1))", "SELECT xmlparse(CONTENT f(1))",
		"COPY (SELECT f(1)) TO STDOUT", "COPY t FROM STDIN WHERE f(1)", "EXPLAIN SELECT f(1)", "EXPLAIN (ANALYZE) SELECT f(1)", "EXPLAIN ((SELECT f(1)))", "DECLARE c CURSOR FOR SELECT f(1)",
		"PREPARE p AS SELECT f(1)", "EXECUTE p(f(1))", "CREATE TABLE t AS SELECT f(1)", "CREATE TABLE t (a) AS (SELECT f(1))", "CREATE MATERIALIZED VIEW v AS SELECT f(1)",
		"CREATE TABLE t AS WITH a AS (SELECT 1) SELECT f(1)", "ALTER TABLE t ADD COLUMN a int DEFAULT f(1)", "ALTER TABLE t ALTER a TYPE int USING f(1)",
		"SELECT 1; SELECT f(1)", "SELECT query_to_xml('x', true, true, '')", "SELECT * FROM ts_stat('x')", "SELECT pg_temp.f(1)", "SELECT E'x' || f(1)", "SELECT $1, f($2)",
		"SELECT 1and f(1)", "SELECT 'x'and f(1)", "SELECT $1and f(1)",
	}
	for _, text := range frames {
		if got := Scan([]byte(text), true); !got.Any(UnknownFunction) {
			t.Errorf("Scan(%q) = %v", text, got)
		}
	}
}

// TestNoCalls holds that common texts without unknown functions are not
// suspected.
func TestNoCalls(t *testing.T) {
	texts := []string{
		"INSERT INTO t (a,b) VALUES (1,2)", "INSERT INTO t(a,b) VALUES(1,2),(3,4)", `INSERT INTO "t" ("a", "b") VALUES ($1, $2) RETURNING "t"."id"`, "INSERT INTO s.t AS x (a) SELECT 1",
		"INSERT INTO t (a) VALUES (1) ON CONFLICT (a, b) DO UPDATE SET (a, b) = (excluded.a, 2) WHERE t.a IN (1, 2)", "INSERT INTO t (a) VALUES (1) ON CONFLICT (lower(a)) WHERE a > 1 DO NOTHING",
		"SELECT * FROM t WHERE a IN (1, 2) AND b = ANY ('{1}') AND c NOT IN (SELECT 1) AND EXISTS (SELECT 1) AND (a, b) = ALL (SELECT 1, 2) OR a = SOME (SELECT 1)",
		"WITH x (a) AS (SELECT 1), y (b) AS NOT MATERIALIZED (SELECT 2), z AS MATERIALIZED (SELECT 3) SELECT * FROM x, y", "WITH RECURSIVE x(n) AS (VALUES (1) UNION ALL SELECT n+1 FROM x) SELECT * FROM x",
		"SELECT * FROM (VALUES (1, 2)) AS t(a, b)", "SELECT * FROM (VALUES (1, 2)) t(a, b)", "SELECT * FROM generate_series(1, 2) AS g(x)", "SELECT * FROM unnest(ARRAY[1]) WITH ORDINALITY AS u(a, n)",
		"SELECT * FROM jsonb_to_recordset($1) AS x(a int, b numeric(10,2), c varchar(3))", "SELECT * FROM a JOIN b USING (x) LEFT JOIN c USING (y, z) NATURAL JOIN (SELECT 1) d",
		"SELECT * FROM a LEFT OUTER JOIN (SELECT 1) b ON (a.x = b.x) INNER JOIN (c JOIN d ON true) ON true CROSS JOIN LATERAL (SELECT 2) e",
		"SELECT rank() OVER (PARTITION BY (a) ORDER BY (b) DESC), sum(a) FILTER (WHERE b) OVER w FROM t WINDOW w AS (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
		"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t", "SELECT a FROM t GROUP BY GROUPING SETS ((a), (b), ()), (a)", "SELECT a FROM t GROUP BY ROLLUP (a, b)", "SELECT a FROM t GROUP BY CUBE(a)",
		"SELECT CAST(a AS varchar(10)), CAST(b AS numeric(10,2)), c::character varying(3), d::timestamp(3) with time zone, e::pg_catalog.numeric(1,2), f::geometry(Point,4326), g::public.geometry(Point)",
		"SELECT EXTRACT(epoch FROM a), COALESCE(a, b), GREATEST(1, 2), LEAST(1, 2), NULLIF(a, b), ROW(1, 2), ARRAY(SELECT 1), interval(6) '1 s', INTERVAL '1' SECOND(3)",
		"SELECT substring(a FROM 1 FOR 2), trim(both 'x' FROM a), position('a' IN b), overlay(a PLACING b FROM 1), current_timestamp(3), localtime(0)",
		"SELECT * FROM t TABLESAMPLE bernoulli (10) REPEATABLE (1)", "SELECT now() AT TIME ZONE ('UTC')", "SELECT * FROM t ORDER BY (a) LIMIT (1) OFFSET (2) FETCH FIRST (3) ROWS ONLY",
		"EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT 1", "EXPLAIN (COSTS OFF) (SELECT 1)", "COPY t (a, b) FROM STDIN WITH (FORMAT csv)", "COPY t(a) TO STDOUT (FORMAT binary)", "COPY (SELECT * FROM t) TO STDOUT (FORMAT csv, HEADER)",
		"CREATE INDEX CONCURRENTLY i ON t USING gin (my_f(a)) WITH (fillfactor = 70) WHERE my_p(a)", "CREATE TABLE t (a varchar(10) DEFAULT my_f(1), PRIMARY KEY (a), CHECK (my_f(a)), FOREIGN KEY (a) REFERENCES u (b))",
		"CREATE TABLE t (LIKE u INCLUDING ALL) PARTITION BY RANGE (a)", "CREATE VIEW v (a, b) AS SELECT my_f(1)", "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u (b)", "ALTER TABLE t ADD COLUMN a numeric(10,2) DEFAULT now()",
		"ALTER TABLE t ADD PRIMARY KEY (a), ADD UNIQUE (b), ADD CHECK (a > 1)", "ALTER TABLE t SET (fillfactor = 70)", "ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (1) TO (2)",
		"CREATE FUNCTION f(a int) RETURNS TABLE (b int) LANGUAGE sql AS $$ SELECT my_f(1) $$", "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION my_f()", "GRANT SELECT (a) ON t TO u", "GRANT EXECUTE ON FUNCTION my_f(int) TO u",
		"DROP FUNCTION my_f(int)", "VACUUM (ANALYZE) t (a, b)", "DECLARE c CURSOR FOR SELECT 1", "PREPARE p(int, numeric(1,2)) AS SELECT $1", "EXECUTE p(1, lower('x'))", "COMMENT ON FUNCTION f(int) IS 'x'",
		"MERGE INTO t USING s ON (t.a = s.a) WHEN MATCHED THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN INSERT (a, b) VALUES (1, 2)", "SELECT pg_catalog.lower('X'), \"lower\"('X'), PG_CATALOG.\"lower\"('x')",
		"SELECT a, (b), 'x' FROM t WHERE (a) IN (1) AND a LIKE ('x') AND b NOT LIKE ('y') AND c BETWEEN (1) AND (2) AND d IS NOT DISTINCT FROM (1)", "SELECT a OPERATOR(pg_catalog.=) (1)", "SELECT DISTINCT ON (a) (b) FROM t",
		"SELECT CASE WHEN (a) THEN (b) ELSE (c) END", "SELECT json_build_object('a', 1), to_jsonb(a), jsonb_agg(b ORDER BY c), string_agg(DISTINCT a, ',' ORDER BY a)", "SELECT gen_random_uuid(), random(), nextval('s'), pg_sleep(1)",
		"UPDATE t SET (a, b) = (1, 2) WHERE a = 1", "UPDATE t x SET (a) = ROW (1)", "DELETE FROM t USING (SELECT 1) AS u(a) WHERE t.a = u.a", "SELECT pg_terminate_backend(1), pg_cancel_backend(2)", "SELECT ((1)), ((SELECT 1))",
	}
	for _, text := range texts {
		if got := Scan([]byte(text), true); got.Any(UnknownFunction | Opaque) {
			t.Errorf("Scan(%q) = %v", text, got)
		}
	}
}

func TestTrusted(t *testing.T) {
	trusted := Trust([]string{"uuid_generate_v4", "Mixed"})
	tests := []struct {
		text    string
		unknown bool
	}{
		{"SELECT uuid_generate_v4()", false}, {"SELECT public.UUID_Generate_V4()", false}, {`SELECT "uuid_generate_v4"()`, false}, {`SELECT "UUID_generate_v4"()`, true},
		{`SELECT "Mixed"()`, false}, {"SELECT Mixed()", true}, {"SELECT uuid_generate_v1()", true}, {`SELECT U&"uuid_generate_v4"()`, true}, {"SELECT uuid_generate_v4(), f()", true},
	}
	for _, test := range tests {
		got := ScanTrusting([]byte(test.text), true, trusted)
		if got.Any(UnknownFunction) != test.unknown {
			t.Errorf("ScanTrusting(%q) = %v", test.text, got)
		}
		if !Scan([]byte(test.text), true).Any(UnknownFunction) {
			t.Errorf("Scan(%q) knows the function", test.text)
		}
	}
	text := []byte(tests[1].text)
	if n := testing.AllocsPerRun(100, func() { ScanTrusting(text, true, trusted) }); n != 0 {
		t.Errorf("ScanTrusting allocates %v times", n)
	}
}
