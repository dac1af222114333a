package differential

import (
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5/pgproto3"
)

// generate makes a random script whose answers depend on nothing but itself:
// PostgreSQL says the same each time. The client's number goes into the texts,
// so that statements of the same name differ between clients.
func generate(r *rand.Rand, client int) script {
	g := &generator{r: r, client: client}
	sc := script{name: "generated"}
	for range 10 + r.IntN(20) {
		var batch []msg
		for range 1 + r.IntN(6) {
			batch = append(batch, g.unit()...)
		}
		sc.steps = append(sc.steps, say(batch...))
	}
	sc.steps = append(sc.steps, say(q("ROLLBACK")), say(q("SELECT 'alive'")))
	return sc
}

type generator struct {
	r      *rand.Rand
	client int
	bound  map[string]bool // portals bound in this unit
}

// unit is a group of messages that brings as many ReadyForQuery as it has
// Query, Sync and FunctionCall messages, whatever fails in it.
func (g *generator) unit() []msg {
	switch g.r.IntN(12) {
	case 0, 1, 2:
		return []msg{q(g.simple())}
	case 3:
		return []msg{call(177, int4(int32(g.r.IntN(100))), int4(int32(g.client)))}
	case 4:
		return []msg{q("COPY sink FROM STDIN"), copyData(fmt.Sprintf("%d\tc\n", g.r.IntN(100))), g.copyEnd()}
	case 5:
		// In a failed transaction the COPY never starts and the rest is ignored.
		return []msg{parse("copy", "COPY sink FROM STDIN"), bind("copy", "copy"), execute("copy", 0), copyData("1\tx\n"), g.copyEnd(), closeStatement("copy"), sync()}
	}
	// PostgreSQL 15.18 itself dies of Execute on a portal that an error has
	// failed, so a portal is only used after a Bind of the same unit.
	g.bound = map[string]bool{}
	var all []msg
	for range 1 + g.r.IntN(5) {
		all = append(all, g.extended())
	}
	if g.r.IntN(4) == 0 {
		all = append(all, flush())
	}
	return append(all, sync())
}

func (g *generator) copyEnd() msg {
	if g.r.IntN(3) == 0 {
		return copyFail("given up")
	}
	return copyDone()
}

func (g *generator) simple() string {
	n := g.r.IntN(50)
	texts := []string{
		"", ";", fmt.Sprintf("SELECT %d, 'client %d'", n, g.client), "SELECT 1/0", "SELEC",
		fmt.Sprintf("SELECT id, name FROM nums WHERE id <= %d ORDER BY id", n),
		fmt.Sprintf("SELECT %d; SELECT %d", n, g.client), "SELECT 1; SELECT 1/0; SELECT 2",
		"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "BEGIN; SELECT 1", "SELECT noisy('n')", "SELECT noisy('error')",
		fmt.Sprintf("SET TimeZone = 'Etc/GMT+%d'", n%12), "SHOW TimeZone", "RESET TimeZone", fmt.Sprintf("SET LOCAL TimeZone = 'Etc/GMT-%d'", n%12),
		fmt.Sprintf("SET application_name = 'a%d'", n), "SHOW application_name",
		fmt.Sprintf("SET work_mem = '%dMB'", 1+n), "SHOW work_mem", "RESET work_mem", "SET search_path = pg_catalog, public", "SHOW search_path",
		"SET ROLE plain_role", "SELECT current_user", "RESET ROLE", fmt.Sprintf("PREPARE q%d AS SELECT 'sql %d %d'", n%3, n, g.client),
		fmt.Sprintf("EXECUTE q%d", n%3), fmt.Sprintf("DEALLOCATE q%d", n%3), "DEALLOCATE ALL", "DISCARD ALL",
		fmt.Sprintf("SELECT repeat('r', %d)", 1+n*1000), "COPY (SELECT id FROM nums WHERE id < 5 ORDER BY id) TO STDOUT",
	}
	return texts[g.r.IntN(len(texts))]
}

func (g *generator) statement() string { return []string{"", "", "s1", "s2", "s3"}[g.r.IntN(5)] }
func (g *generator) portal() string    { return []string{"", "", "", "p1"}[g.r.IntN(4)] }

func (g *generator) extended() msg {
	switch g.r.IntN(14) {
	case 0, 1, 2:
		return parse(g.statement(), g.oneStatement())
	case 3, 4, 5, 6:
		portal := g.portal()
		g.bound[portal] = true
		if g.r.IntN(4) == 0 {
			return bind(portal, g.statement())
		}
		return bind(portal, g.statement(), fmt.Sprint(g.r.IntN(20)))
	case 7, 8, 9:
		if portal := g.portal(); g.bound[portal] {
			return execute(portal, uint32(g.r.IntN(4)))
		}
		return describeStatement(g.statement())
	case 10:
		return describeStatement(g.statement())
	case 11:
		if portal := g.portal(); g.bound[portal] {
			return describePortal(portal)
		}
		return flush()
	case 12:
		return closePortal(g.portal())
	}
	return &pgproto3.Close{ObjectType: 'S', Name: g.statement()}
}

// oneStatement is what Parse takes: most with one parameter, as Bind gives it.
func (g *generator) oneStatement() string {
	texts := []string{
		fmt.Sprintf("SELECT $1::int, 'client %d', %d", g.client, g.r.IntN(1000)), "SELECT 1/$1::int", "SELECT id FROM nums WHERE id > $1::int ORDER BY id LIMIT 6",
		"SELECT repeat('e', $1::int * 100)", "SELEC", "SELECT 'none'", "INSERT INTO sink VALUES ($1::int, 'g')", "", "SHOW TimeZone", "BEGIN", "COMMIT",
		"SELECT noisy('e' || $1)", "SET TimeZone = 'UTC'", "UPDATE sink SET v = 'u' WHERE id = $1::int AND false",
	}
	return texts[g.r.IntN(len(texts))]
}
