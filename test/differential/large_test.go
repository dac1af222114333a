package differential

import (
	"fmt"
	"strings"
)

// largeScripts send and fetch what does not fit into any buffer.
func largeScripts() []script {
	var list, columns []string
	var params []string
	for i := range 1000 {
		list = append(list, fmt.Sprintf("$%d::int", i+1))
		params = append(params, fmt.Sprint(i))
	}
	for i := range 1600 {
		columns = append(columns, fmt.Sprintf("%d AS c%d", i, i))
	}
	return []script{
		{name: "large values", steps: []step{
			say(q("SELECT repeat('x', 10000000)")), say(q("SELECT length('" + strings.Repeat("q", 2<<20) + "')")),
			say(parse("big", "SELECT 1 /* "+strings.Repeat("p", 300<<10)+" */"), sync()), say(bind("", "big"), execute("", 0), sync()), say(closeStatement("big"), sync()),
			say(parse("", "SELECT length($1), $1"), bind("", "", strings.Repeat("b", 5<<20)), execute("", 0), sync()),
			say(unit("SELECT repeat('y', 3000000), i FROM generate_series(1, 3) i")...), say(q("SELECT 'alive'")),
		}},
		{name: "many values", steps: []step{
			say(unit("SELECT "+strings.Join(list, " + "), params...)...), say(q("SELECT " + strings.Join(columns, ", "))),
			say(q("SELECT i FROM generate_series(1, 50000) i")),
		}},
		{name: "large errors", steps: []step{
			say(q("DO $$ BEGIN RAISE EXCEPTION '%', repeat('e', 1000000); END $$")), say(q("DO $$ BEGIN RAISE NOTICE '%', repeat('n', 1000000); END $$")),
			say(q("SELECT '" + strings.Repeat("z", 100000) + "'::int")), say(q("SELECT 'alive'")),
		}},
	}
}
