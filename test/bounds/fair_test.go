package bounds

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// nap is long beside what a slow client takes from one statement to the next: it
// is Spillway that says who has a server, not the machine.
func nap(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, "SELECT pg_sleep(0.1)")
	return err
}

// keep is work that lasts as long as the test.
func keep(t *testing.T) func(context.Context, *pgx.Conn) error {
	return func(_ context.Context, c *pgx.Conn) error {
		_, err := c.Exec(t.Context(), "SELECT pg_sleep(3600)")
		return err
	}
}

// TestBatchAtTenTimesItsCapacity: critical transactions are never refused and
// have their share back as soon as they ask; what is idle is lent, whether its
// servers are open or not.
func TestBatchAtTenTimesItsCapacity(t *testing.T) {
	s := server(t)
	p := serve(t, s, `
workloads:
  api:   {match: {user: api}, class: critical, share: 50, lendable: 60%, queue_timeout: 60s}
  batch: {match: {user: [worker, one]}, class: batch, share: 10, borrow: 1000%}
`, nil)
	calm := func() {
		eventually(t, "the host is calm, with a login saved up for every slot", limit, func() bool {
			up := upstream(t, p)
			return up["calm"] == "yes" && up["logins_free"] == up["usable"]
		})
	}
	calm()
	api := show(t, p, "api")
	lendable := api["share"] * 60 / 100
	lent := func(user, how string) *load {
		batch := run(t, p, user, "nightly", 300, 0, nap)
		took := eventually(t, "what is idle is lent", limit, func() bool { return show(t, p, "batch")["borrowed"] >= lendable*9/10 })
		t.Logf("share of the API %d, of it lendable %d: 90 %% of that in use %v after the first batch client came (%s)", api["share"], lendable, took.Round(time.Millisecond), how)
		return batch
	}
	rest := func(batch *load) {
		batch.stop()
		batch.done.Wait()
		eventually(t, "the batch has stopped", limit, func() bool { return show(t, p, "batch")["in_use"] == 0 })
	}
	rest(lent("worker", "cold: no server was open"))
	rest(lent("worker", "warm: servers of its own pool"))
	calm()
	batch := lent("one", "warm: the slots are filled by idle servers of another pool")
	web := run(t, p, "api", "web", 100, 0, nap)
	back := eventually(t, "the API has its share back", limit, func() bool { return show(t, p, "api")["in_use"] >= api["share"]*9/10 })
	t.Logf("the API's share was back after %v", back.Round(time.Millisecond))
	time.Sleep(2 * time.Second) // the length of the measurement
	served, p99, errs := web.reap()
	done, _, batchErrs := batch.reap()
	t.Logf("API: %d transactions, p99 %v, errors %v; batch: %d, errors %v", served, p99, errs, done, batchErrs)
	if len(errs) > 0 || served == 0 {
		t.Errorf("critical transactions were rejected: %v", errs)
	}
}

// TestEqualsAreServedAlike: two workloads with equal shares and different
// numbers of clients.
func TestEqualsAreServedAlike(t *testing.T) {
	s := server(t)
	p := serve(t, s, `
workloads:
  one: {match: {user: one}, share: 10, limit: 20}
  two: {match: {user: two}, share: 10, limit: 20}
`, map[string]any{"servers.main.max_connections": 20, "servers.main.operator_slots": 0, "databases.*.pool_size": 20})
	one, two := run(t, p, "one", "a", 20, 0, nap), run(t, p, "two", "b", 120, 0, nap)
	time.Sleep(2 * time.Second) // servers open
	one.reap()
	two.reap()
	time.Sleep(3 * time.Second) // the length of the measurement
	a, _, errA := one.reap()
	b, _, errB := two.reap()
	jain := float64(a+b) * float64(a+b) / (2 * (float64(a)*float64(a) + float64(b)*float64(b)))
	t.Logf("20 clients: %d, 120 clients: %d; Jain's index %.4f", a, b, jain)
	if len(errA)+len(errB) > 0 {
		t.Errorf("errors %v %v", errA, errB)
	}
	if jain < 0.95 {
		t.Errorf("Jain's index is %.3f", jain)
	}
}

// TestAFullQueueSaysSoAtOnce: which limit, whose, who holds the slots.
func TestAFullQueueSaysSoAtOnce(t *testing.T) {
	s := server(t)
	p := serve(t, s, `
workloads:
  narrow: {match: {user: worker}, share: 1, limit: 2, queue_max: 3}
`, nil)
	run(t, p, "worker", "celery-big", 5, 0, keep(t))
	eventually(t, "the queue is full", limit, func() bool {
		now := show(t, p, "narrow")
		return now["waiting"] == 3 && now["in_use"] == 2
	})
	conn, err := connect(t.Context(), p, "worker", "celery-late")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err = ask(t.Context(), conn)
	t.Logf("told after %v: %s", time.Since(began).Round(time.Microsecond), text(err))
	for _, want := range []string{"53300", "workload narrow", "queue_max: 3", "limit: 2", "celery-big", "SHOW HOLDERS"} {
		if err == nil || !strings.Contains(text(err), want) {
			t.Errorf("the error does not say %q", want)
		}
	}
	if conn.IsClosed() {
		t.Error("the session was lost with the refusal")
	}
}
