package contain

import (
	"strings"
	"testing"
	"time"

	"spillway/internal/pgtest"
)

// TestAutomatic: a storm of one statement is capped by the rule that names it, and
// without a rule nothing is done.
func TestAutomatic(t *testing.T) {
	s := server(t)
	p := serve(t, s, workloads+`
automatic:
  cap: {detector: storm, action: ban, max: 3, for: 5m, every: 1m, workload: "bat*"}
`)
	var told []<-chan error
	for range 25 {
		_, ch := hang(t, p.URL(login("worker", "job")), "SELECT n FROM item, pg_sleep(600) WHERE id = 7")
		told = append(told, ch)
	}
	late := connect(t, p.URL(login("worker", "job")))
	var ban map[string]string
	eventually(t, "the rule has acted", limit, func() bool {
		rows, err := pgtest.Console(p, "SHOW ACTIONS")
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if row["by"] == "automatic cap" {
				ban = row
			}
		}
		return ban != nil
	})
	if ban["action"] != "ban" || ban["state"] != "stands" || !strings.Contains(ban["reason"], "storm") {
		t.Errorf("got %v", ban)
	}
	order(t, p, "kill", "--fingerprint", ban["subject"], "--reason", "cleared")
	for i := range told {
		wantError(t, <-told[i], "57014", "cleared")
	}
	for range 3 {
		hang(t, p.URL(login("worker", "job")), "SELECT n FROM item, pg_sleep(601) WHERE id = 8")
	}
	eventually(t, "three run", limit, func() bool { return backends(t, s, "query LIKE '%pg_sleep(601)%' AND state = 'active'") == "3" })
	wantError(t, ask(t, late, "SELECT n FROM item, pg_sleep(602) WHERE id = 9"), "53000", "3 times at once", "automatic cap")
	time.Sleep(time.Second) // long enough for a rule that knows no pause
	rows, err := pgtest.Console(p, "SHOW ACTIONS")
	if err != nil || len(rows) != 2 {
		t.Errorf("SHOW ACTIONS: %v, %v", rows, err)
	}
}
