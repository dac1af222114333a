package differential

import (
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// copyScripts move rows in and out, and break off in the middle.
func copyScripts() []script {
	const in = "COPY sink FROM STDIN"
	return []script{
		{name: "copy out", steps: []step{
			say(q("COPY (SELECT * FROM nums WHERE id < 6 ORDER BY id) TO STDOUT")), say(q("COPY (SELECT id FROM nums ORDER BY id) TO STDOUT (FORMAT binary)")),
			say(q("COPY (SELECT 1/(3-id) FROM nums WHERE id < 6 ORDER BY id) TO STDOUT")), say(q("COPY nowhere TO STDOUT")),
			say(q("SELECT 1; COPY (SELECT 2) TO STDOUT; SELECT 3")), say(unit("COPY (SELECT id FROM nums WHERE id < 3 ORDER BY id) TO STDOUT")...),
			say(q("BEGIN")), say(q("COPY (SELECT 1) TO STDOUT")), say(q("COMMIT")),
		}},
		{name: "copy in", steps: []step{
			sayUntil("G", q(in)), sayUntil("Z", copyData("1\ta\n2\tb\n"), copyData("3\tc"), copyData("\n"), copyDone()), say(q("SELECT 1")),
			say(q(in), copyData("4\td\n"), copyDone()), say(q(in), copyDone()),
			sayUntil("GZ", q("COPY sink FROM STDIN (FORMAT csv)"), copyData("5,\"e,\n"), copyData("f\"\n"), copyDone()),
			sayUntil("GGZ", q("SELECT 1; "+in+"; "+in+"; SELECT 2"), copyData("6\tx\n"), copyDone(), copyData("7\ty\n"), copyDone()),
			say(q("BEGIN")), sayUntil("GZ", q(in), copyData("8\tz\n"), copyDone()), say(q("ROLLBACK")),
		}},
		{name: "copy in that fails", steps: []step{
			sayUntil("GZ", q(in), copyData("1\ta\n"), copyFail("changed my mind")), say(q("SELECT 'alive'")),
			sayUntil("GZ", q(in), copyData("not a number\tx\n"), copyData("2\tb\n"), copyDone()), say(q("SELECT 'alive'")),
			sayUntil("GE", q(in), copyData("1\ttoo\tmany\n")), sayUntil("Z"), say(q("SELECT 'after a late error'")),
			sayUntil("Z", q("COPY nowhere FROM STDIN"), copyData("1\ta\n"), copyDone()), say(q("SELECT 'strays are ignored'")),
			say(copyData("stray"), copyDone(), copyFail("stray"), q("SELECT 'strays are ignored again'")),
			say(q("BEGIN")), sayUntil("GZ", q(in), copyFail("in a transaction")), say(q("SELECT 1")), say(q("ROLLBACK")),
			sayUntil("GZ", q(in), copyData("1\ta\n"), flush(), sync(), copyDone()), say(q("SELECT 'Flush and Sync in COPY are ignored'")),
		}},
		{name: "query in a copy", steps: []step{sayUntil("G", q(in)), sayUntil("$", copyData("1\ta\n"), q("SELECT 'is fatal'"))}},
		{name: "copy in, extended", steps: []step{
			sayUntil("G", parse("", in), bind("", ""), describePortal(""), execute("", 0), flush()), sayUntil("CZ", copyData("1\ta\n"), copyDone(), sync()),
			sayUntil("GZ", parse("", in), bind("", ""), execute("", 0), copyData("2\tb\n"), copyDone(), sync()),
			sayUntil("GZ", parse("", in), bind("", ""), execute("", 0), copyData("3\tc\n"), copyFail("no"), sync()), say(q("SELECT 'alive'")),
			sayUntil("GZ", parse("", in), bind("", ""), execute("", 0), copyData("x\ty\tz\n"), copyDone(), sync()), say(q("SELECT 'alive'")),
			// The Sync sent with Execute is lost in the COPY, so one more must follow.
			sayUntil("GCZ", parse("", in), bind("", ""), execute("", 0), sync(), copyData("4\td\n"), copyDone(), sync()), say(q("SELECT 'alive'")),
			sayUntil("Z", parse("", "COPY nowhere FROM STDIN"), bind("", ""), execute("", 0), copyData("1\ta\n"), copyDone(), sync()), say(q("SELECT 'alive'")),
			say(parse("c", in), sync()), sayUntil("GZ", bind("", "c"), execute("", 0), copyData("5\te\n"), copyDone(), sync()), sayUntil("GZ", bind("", "c"), execute("", 0), copyDone(), sync()),
		}},
		{name: "copy of many rows", steps: []step{
			say(q("COPY (SELECT i, repeat('x', i % 100) FROM generate_series(1, 20000) i) TO STDOUT")),
			say(manyRows(in)...), say(q("SELECT 'alive'")), say(q("TRUNCATE sink")),
		}},
	}
}

// manyRows is a COPY in 2,000 messages of uneven length.
func manyRows(in string) []msg {
	all := []msg{q(in)}
	for i := range 2000 {
		all = append(all, &pgproto3.CopyData{Data: []byte("1\t" + strings.Repeat("y", i%1500) + "\n")})
	}
	return append(all, copyDone())
}
