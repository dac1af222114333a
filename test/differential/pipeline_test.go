package differential

import (
	"fmt"
	"slices"
)

// pipelineScripts have several units in flight.
func pipelineScripts() []script {
	return []script{
		{name: "pipeline", steps: []step{
			say(slices.Concat(unit("SELECT 1"), unit("SELECT 2"), unit("SELECT $1::text", "three"), unit("SELECT id FROM nums WHERE id < 3 ORDER BY id"))...),
			say(q("SELECT 1"), q("SELECT 2; SELECT 3"), q(""), q("SELECT 4")),
			say(slices.Concat([]msg{q("BEGIN")}, unit("SELECT 1"), []msg{q("COMMIT")}, unit("SELECT 2"), []msg{q("SELECT 3")})...),
		}},
		{name: "errors in a pipeline", steps: []step{
			say(slices.Concat(unit("SELECT 1"), unit("SELECT 1/0"), unit("SELECT 3"))...),
			say(parse("", "SELECT 1"), bind("", ""), execute("", 0), parse("", "SELECT 1/0"), bind("", ""), execute("", 0),
				parse("", "SELECT 'skipped'"), bind("", ""), execute("", 0), sync(), parse("", "SELECT 'next'"), bind("", ""), execute("", 0), sync()),
			say(parse("", "SELEC"), parse("a", "SELECT 'never prepared'"), closeStatement("a"), describeStatement("a"), sync(), bind("", "a"), sync(),
				parse("a", "SELECT 'prepared'"), bind("", "a"), execute("", 0), sync()),
			say(bind("", "a"), execute("", 0), sync(), closeStatement("a"), sync(), bind("", "a"), sync(), q("SELECT 'alive'")),
			say(q("SELECT 1/0"), q("SELECT 2"), parse("", "SELECT 3"), sync(), q("SELECT nonsense"), sync()),
		}},
		{name: "implicit transactions", steps: []step{
			say(parse("", "INSERT INTO sink VALUES (1, 'rolled back')"), bind("", ""), execute("", 0), parse("", "SELECT 1/0"), bind("", ""), execute("", 0), sync()),
			say(parse("", "SET LOCAL work_mem = '5MB'"), bind("", ""), execute("", 0), parse("", "SHOW work_mem"), bind("", ""), execute("", 0), sync()),
			say(q("SHOW work_mem")),
			say(slices.Concat(unit("BEGIN"), unit("SELECT 1/0"), unit("SELECT 2"), unit("ROLLBACK"), unit("SELECT 3"))...),
			say(parse("", "BEGIN"), bind("", ""), execute("", 0), parse("", "SELECT 1"), bind("", ""), execute("", 0), parse("", "COMMIT"), bind("", ""), execute("", 0), sync()),
			say(parse("", "VACUUM sink"), bind("", ""), execute("", 0), sync()),
		}},
		{name: "query among unsynced messages", steps: []step{
			say(parse("", "SELECT 1"), bind("", ""), execute("", 0), q("SELECT 2"), sync()),
			say(parse("n", "SELECT 'n'"), q("SELECT 2"), bind("", "n"), execute("", 0), sync(), closeStatement("n"), sync()),
			say(parse("", "SELEC"), q("SELECT 'skipped until Sync'"), sync()).waiting("Z"),
			say(q("SELECT 'alive'")),
		}},
		{name: "long pipeline", steps: []step{say(longPipeline(300)...), say(q("SELECT 'alive'"))}},
		{name: "ending in a transaction", steps: []step{say(q("BEGIN; INSERT INTO sink VALUES (9, 'gone')")), sayUntil("1", parse("", "SELECT 1"), flush()), hangUp()}},
		{name: "unknown message", steps: []step{say(q("SELECT 1")), {send: []byte{'j', 0, 0, 0, 4}, until: "$"}}},
	}
}

// waiting replaces what a step waits for.
func (s step) waiting(until string) step {
	s.until = until
	return s
}

// longPipeline alternates units, queries and errors.
func longPipeline(n int) []msg {
	var all []msg
	for i := range n {
		switch i % 4 {
		case 0:
			all = append(all, unit("SELECT $1::int", fmt.Sprint(i))...)
		case 1:
			all = append(all, q(fmt.Sprintf("SELECT %d", i)))
		case 2:
			all = append(all, parse(fmt.Sprintf("l%d", i), fmt.Sprintf("SELECT %d", i)), bind("", fmt.Sprintf("l%d", i)), execute("", 0), closeStatement(fmt.Sprintf("l%d", i)), sync())
		case 3:
			all = append(all, unit("SELECT 1/$1::int", "0")...)
		}
	}
	return all
}
