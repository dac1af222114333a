package job

import (
	"testing"
	"time"

	"spillway/internal/pgtest"
)

// TestThroughSpillway: the child's connections fall into the job's workload,
// and its statements end with it although they come through a pool.
func TestThroughSpillway(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	p := pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"), pgtest.PoolerConfig{Server: s, PoolSize: 20, MaxClients: 100,
		Users: map[string]string{"postgres": ""}, Overlay: []byte(`
workloads:
  cleanup: {match: {application_name: "job:cleanup#*"}, class: batch, share: 1, limit: 1}
  default: {class: normal, share: 5, limit: 10}
`)})
	through := "psql -X -q '" + p.URL(pgtest.Login{User: "postgres"}) + "' -c 'SELECT pg_sleep(1000)'"
	// The workload's limit is 1: of two statements one waits for a slot.
	o := place(t, s)("cleanup", through+" & "+through+" & wait")
	o.Deadline = 10 * time.Second
	done := begin(t, t.Context(), o)
	eventually(t, "one statement runs", func() bool { return running(t, s, "cleanup") == "1" })
	if out := <-done; out.How != Deadline {
		t.Errorf("got %+v", out)
	}
	if n := running(t, s, "cleanup"); n != "0" {
		t.Errorf("%s statements left", n)
	}
	if n := s.Value(t, "SELECT max(n) FROM (SELECT count(*) n FROM pg_stat_activity WHERE application_name LIKE 'job:cleanup#%') x"); n > "1" {
		t.Errorf("%s connections, the workload's limit is 1", n)
	}
}
