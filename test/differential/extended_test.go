package differential

import "github.com/jackc/pgx/v5/pgproto3"

// extendedScripts speak the extended protocol, one Sync at a time.
func extendedScripts() []script {
	return []script{
		{name: "extended", steps: []step{
			say(unit("SELECT id, name FROM nums WHERE id = $1", "5")...),
			say(parse("", "SELECT $1::int + $2::int, $3::text"), describeStatement(""), bind("", "", "1", "2", "x"), execute("", 0), sync()),
			say(parse("", "SELECT $1", 20), describeStatement(""), bind("", "", "9000000000"), describePortal(""), execute("", 0), sync()),
			say(parse("", "INSERT INTO sink VALUES ($1, $2)"), describeStatement(""), bind("", "", "1", "v"), describePortal(""), execute("", 0), sync()),
			say(unit("BEGIN")...), say(unit("SELECT 1")...), say(unit("COMMIT")...), say(unit("SET application_name = 'ext'")...), say(unit("SHOW application_name")...),
		}},
		{name: "binary and null values", steps: []step{
			say(parse("", "SELECT $1::int4, $2::text, $3::float8"), &pgproto3.Bind{
				ParameterFormatCodes: []int16{1, 0, 0}, Parameters: [][]byte{int4(7), nil, []byte("2.5")}, ResultFormatCodes: []int16{1, 0, 1},
			}, describePortal(""), execute("", 0), sync()),
			say(parse("", "SELECT $1::int4"), &pgproto3.Bind{ParameterFormatCodes: []int16{1}, Parameters: [][]byte{{1, 2}}}, execute("", 0), sync()),
			say(parse("", "SELECT $1::int4"), &pgproto3.Bind{ParameterFormatCodes: []int16{9}, Parameters: [][]byte{int4(1)}}, execute("", 0), sync()),
		}},
		{name: "empty statement", steps: []step{
			say(parse("", ""), describeStatement(""), bind("", ""), describePortal(""), execute("", 0), sync()), say(sync()), say(sync(), sync(), sync()),
			say(flush(), sync()), say(parse("", "-- nothing"), bind("", ""), execute("", 0), sync()),
		}},
		{name: "named statements", steps: []step{
			say(parse("s1", "SELECT name FROM nums WHERE id = $1"), sync()), say(bind("", "s1", "1"), execute("", 0), sync()),
			say(describeStatement("s1"), sync()), say(bind("", "s1", "2"), describePortal(""), execute("", 0), sync()),
			say(parse("s1", "SELECT 'twice'"), sync()), say(bind("", "s1", "3"), execute("", 0), sync()),
			say(closeStatement("s1"), sync()), say(closeStatement("s1"), closeStatement("never"), sync()), say(bind("", "s1", "3"), execute("", 0), sync()),
			say(parse("s1", "SELECT half, id FROM nums WHERE id = $1::int"), bind("", "s1", "4"), execute("", 0), sync()),
			say(describeStatement("s1"), describeStatement("gone"), sync()), say(bind("", "s1", "6"), execute("", 0), sync()),
			say(closeStatement("s1"), parse("s1", "SELECT 'in one go'"), bind("", "s1"), execute("", 0), closeStatement("s1"), sync()),
			say(bind("", "s1"), sync()),
		}},
		{name: "statements and transactions", steps: []step{
			say(q("BEGIN")), say(parse("kept", "SELECT 'kept'"), sync()), say(q("ROLLBACK")), say(bind("", "kept"), execute("", 0), sync()),
			say(q("BEGIN")), say(q("SELECT 1/0")), say(parse("bad", "SELECT 1"), sync()), say(closeStatement("kept"), sync()), say(q("ROLLBACK")),
			say(bind("", "kept"), execute("", 0), sync()), say(bind("", "bad"), execute("", 0), sync()),
			say(q("DEALLOCATE kept")), say(bind("", "kept"), execute("", 0), sync()),
			say(parse("kept", "SELECT 'again'"), sync()), say(q("EXECUTE kept")), say(q("DISCARD ALL")), say(bind("", "kept"), execute("", 0), sync()),
		}},
		{name: "unnamed statement lives on", steps: []step{
			say(parse("", "SELECT 'unnamed ' || $1"), sync()), say(bind("", "", "a"), execute("", 0), sync()), say(bind("", "", "b"), execute("", 0), sync()),
			say(q("BEGIN")), say(q("COMMIT")), say(describeStatement(""), sync()), // a simple query drops it
			say(parse("", "SELECT 'second'"), sync()), say(sync()), say(bind("", ""), execute("", 0), sync()),
			say(closeStatement(""), sync()), say(bind("", ""), execute("", 0), sync()),
		}},
		{name: "portals", steps: []step{
			say(q("BEGIN")), say(parse("", "SELECT id FROM nums ORDER BY id LIMIT 7"), bind("p", ""), describePortal("p"), execute("p", 2), sync()),
			say(execute("p", 2), sync()), say(execute("p", 2), execute("p", 2), sync()), say(execute("p", 2), sync()), say(closePortal("p"), sync()), say(execute("p", 1), sync()),
			say(q("ROLLBACK")),
			say(parse("", "SELECT id FROM nums ORDER BY id"), bind("q", ""), execute("q", 3), execute("q", 2), sync()), say(execute("q", 1), sync()),
			say(q("BEGIN")), say(parse("st", "SELECT 1"), bind("x", "st"), bind("x", "st"), sync()), say(q("ROLLBACK")),
			say(parse("", "SELECT generate_series(1,5)"), bind("", ""), execute("", 2), bind("", ""), execute("", 0), closeStatement("st"), sync()),
		}},
		{name: "mistakes", steps: []step{
			say(bind("", "nowhere"), execute("", 0), sync()), say(execute("nowhere", 0), sync()), say(describePortal("nowhere"), sync()), say(describeStatement("nowhere"), sync()),
			say(parse("", "SELECT $1::int"), bind("", "", "1", "2"), sync()), say(parse("", "SELECT $1::int"), bind("", ""), sync()),
			say(parse("", "SELECT 1; SELECT 2"), sync()), say(parse("", "SELEC"), bind("", ""), execute("", 0), sync()),
			say(parse("", "SELECT 1/$1::int"), bind("", "", "0"), execute("", 0), sync()), say(parse("", "SELECT $1::int"), bind("", "", "zero"), execute("", 0), sync()),
			say(q("SELECT 'alive'")),
		}},
		{name: "flush", steps: []step{
			sayUntil("1t", parse("f", "SELECT id FROM nums WHERE id = $1"), describeStatement("f"), flush()), sayUntil("2", bind("", "f", "8"), flush()),
			sayUntil("C", execute("", 0), flush()), say(sync()), sayUntil("E", parse("g", "SELEC"), flush()), say(describeStatement("f"), flush(), sync()),
			say(bind("", "f", "9"), execute("", 0), sync()),
		}},
	}
}
