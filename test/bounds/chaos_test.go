package bounds

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// dying is a transaction of a client that dies now and then in the middle of it.
func dying(ctx context.Context, c *pgx.Conn) error {
	if _, err := c.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if rand.IntN(3) == 0 {
		return c.PgConn().Conn().Close()
	}
	_, err := c.Exec(ctx, "SELECT pg_sleep(0.005)")
	if err == nil {
		_, err = c.Exec(ctx, "COMMIT")
	}
	return err
}

// TestBooksAfterChaos: clients that die anywhere, server processes that are
// killed, Spillway's own sockets that are cut: in the end we hold exactly what
// PostgreSQL says we do, and the ledger has found no drift and mended none.
func TestBooksAfterChaos(t *testing.T) {
	s := server(t)
	r := startRelay(t, s.Addr())
	p := serve(t, s, workloads, map[string]any{"servers.main.url": strings.Replace(s.URL(pgtest.Login{}), s.Addr(), r.door.Addr().String(), 1)})
	loads := []*load{run(t, p, "api", "web", 30, 0, dying), run(t, p, "worker", "celery", 20, 0, dying), run(t, p, "one", "x", 20, 0, dying)}
	span := 5 * time.Second
	if long() {
		span = time.Minute
	}
	kills, cuts := 0, 0
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		rows, err := s.Query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('api', 'worker', 'one') ORDER BY random() LIMIT 2")
		if err != nil {
			t.Fatal(err)
		}
		kills += len(rows)
		cuts += r.cut(rand.IntN(3))
	}
	served := 0
	for _, l := range loads {
		l.stop()
		l.done.Wait()
		n, _, _ := l.reap()
		served += n
	}
	t.Logf("%d server processes were killed, %d sockets cut; %d transactions ended, or their clients died", kills, cuts, served)
	if kills == 0 || cuts == 0 || served == 0 {
		t.Error("that was no chaos")
	}
	var last string
	eventually(t, "the books agree", limit, func() bool {
		rows, err := pgtest.Console(p, "SHOW SERVERS")
		if err != nil {
			t.Fatal(err)
		}
		there := s.Value(t, "SELECT count(*) FROM pg_stat_activity WHERE usename IN ('api', 'worker', 'one', 'oncall')")
		ours := 0
		for _, row := range rows {
			if row["user"] != "postgres" {
				ours++
			}
		}
		last = strconv.Itoa(ours) + " ours, " + there + " on the server"
		return strconv.Itoa(ours) == there
	})
	over := time.Now()
	var books drift
	eventually(t, "the ledger has been written up since", limit, func() bool {
		books = drifted(t, p)
		return books.AskedAt.After(over)
	})
	t.Logf("%s; the ledger: %+v", last, books)
	if books.Missing+books.Lingering+books.Stray != 0 {
		t.Errorf("drift after the chaos: %+v", books)
	}
}

// drift is what the ledger says of a server.
type drift struct {
	AskedAt   time.Time `json:"asked_at"`
	Missing   int       `json:"missing"`
	Lingering int       `json:"lingering"`
	Stray     int       `json:"stray"`
	Mended    int       `json:"drift_mended"`
	Fused     int       `json:"fused"`
}

func drifted(t *testing.T, p *pgtest.Pooler) drift {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(p.Dir, "state", "admin.sock"))
	}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://spillway/api/v1/upstreams", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct{ Items []drift }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list.Items) != 1 {
		t.Fatalf("upstreams: %v, %v", list, err)
	}
	return list.Items[0]
}
