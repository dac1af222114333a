package contain

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// TestBanIsAnyError: a banned statement fares as one that PostgreSQL refuses: what
// came before it in its pipeline, what comes after, the transaction and the
// session are as with a division by zero in its place.
func TestBanIsAnyError(t *testing.T) {
	const (
		fine   = "INSERT INTO sink VALUES ($1)"
		banned = "UPDATE item SET n = n + 1 WHERE id = $1"
		broken = "SELECT 1 / ($1 - $1)"
	)
	for _, kind := range pgtest.Kinds(t, "transaction", "session") {
		t.Run(kind.String(), func(t *testing.T) {
			s := server(t)
			s.Exec(t, "CREATE TABLE sink (a int); GRANT ALL ON sink TO PUBLIC")
			p := pgtest.Serve(t, kind, pgtest.PoolerConfig{Server: s, PoolSize: 2, Users: map[string]string{"postgres": "", "worker": ""}})
			order(t, p, "ban", printOf(t, p, "UPDATE item SET n = n + 1 WHERE id = 5"))
			for _, script := range [][]string{
				{"?"}, {fine, "?", fine}, {"BEGIN", fine, "?", fine}, {"BEGIN", "?", "ROLLBACK", fine}, {"?", "?"}, {fine, "SYNC", "?", "SYNC", fine},
			} {
				got := play(t, s, p, script, banned)
				want := play(t, s, p, script, broken)
				if got != want {
					t.Errorf("%v:\nbanned: %s\nbroken: %s", script, got, want)
				}
			}
		})
	}
}

// printOf is the fingerprint of a statement that is run once.
func printOf(t *testing.T, p *pgtest.Pooler, sql string) string {
	t.Helper()
	c := connect(t, p.URL(login("worker", "job")))
	must(t, c, "BEGIN")
	must(t, c, sql)
	print := queryPrint(t, p, "update item")
	must(t, c, "ROLLBACK")
	_ = c.Close(t.Context())
	return print
}

// play sends the script as pipelines, in which SYNC ends one and ? stands for sql,
// and says how each statement fared, what became of the table, and whether the
// session and the next one go on.
func play(t *testing.T, s *pgtest.Server, p *pgtest.Pooler, script []string, sql string) string {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), limit)
	defer end()
	s.Exec(t, "TRUNCATE sink")
	c, err := pgx.Connect(ctx, p.URL(pgtest.Login{User: "worker", Params: map[string]string{"default_query_exec_mode": "exec"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	story := ""
	batch := &pgx.Batch{}
	flush := func() {
		results := c.SendBatch(ctx, batch)
		for range batch.Len() {
			_, err := results.Exec()
			story += fmt.Sprint(err == nil, " ")
		}
		_ = results.Close()
		story += fmt.Sprintf("[%c] ", c.PgConn().TxStatus())
		batch = &pgx.Batch{}
	}
	for _, one := range script {
		switch one {
		case "SYNC":
			flush()
		case "?":
			batch.Queue(sql, 7)
		case "BEGIN", "ROLLBACK":
			batch.Queue(one)
		default:
			batch.Queue(one, 7)
		}
	}
	flush()
	if _, err := c.Exec(ctx, "ROLLBACK"); err != nil {
		story += "no rollback: " + text(err)
	}
	var n int
	err = c.QueryRow(ctx, "SELECT count(*) FROM sink").Scan(&n)
	return story + fmt.Sprint(n, " rows ", err)
}
