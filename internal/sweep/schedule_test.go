package sweep

import (
	"testing"
	"time"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/when"
)

// hurry makes the time of every order come now.
func (c *Crew) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.orders {
		t.next = time.Now()
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// TestSchedule: a sweep of the schedule runs when its time comes, is taken up at
// the next time when its deadline ended it, and what is refused is an event.
func TestSchedule(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	s.Exec(t, "CREATE TABLE sessions (id int PRIMARY KEY); INSERT INTO sessions SELECT generate_series(1, 20000)")
	c, _ := counted(t, s)
	events, grown := make(chan string, 10_000), make(chan Growth, 100)
	c.config.Note = func(kind string, body any) { events <- kind }
	c.config.Grown = func(g Growth) { grown <- g }
	daily, err := when.ParseSchedule("@daily", nil)
	if err != nil {
		t.Fatal(err)
	}
	order := Timed{Order: Order{Name: "old"}, Schedule: daily}
	order.Table, order.Where = "sessions", "id <= 19000"
	order.Options.Deadline, order.Options.Rate = time.Second, 8000
	lost := Timed{Order: Order{Name: "lost"}, Schedule: daily}
	lost.Table, lost.Where = "nothing", "true"
	c.Keep([]Timed{order, lost})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	until := func(kind string) {
		t.Helper()
		for deadline := time.After(2 * time.Minute); seen[kind] == 0; {
			select {
			case kind := <-events:
				seen[kind]++
			case <-deadline:
				t.Fatalf("no event %s; seen %v", kind, seen)
			}
		}
		seen[kind]--
	}
	c.hurry()
	until("sweep.refused")
	until("sweep.paused")
	// 19,000 rows at 8,000 a second at most, a second each time.
	for began := time.Now(); s.Value(t, "SELECT phase FROM spillway.sweep") != "done"; {
		if time.Since(began) > 4*time.Minute {
			t.Fatal("it does not come to its end")
		}
		before := s.Value(t, "SELECT fence FROM spillway.sweep")
		for deadline := time.Now().Add(2 * time.Minute); s.Value(t, "SELECT fence || phase FROM spillway.sweep") == before+"paused"; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it is not taken up")
			}
			c.hurry() // one still at work, or about to end, is left out
		}
		for deadline := time.Now().Add(2 * time.Minute); s.Value(t, "SELECT phase FROM spillway.sweep") == "running"; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("its deadline does not end it")
			}
		}
	}
	until("sweep.done")
	if n := s.Value(t, "SELECT count(*) FROM sessions"); n != "1000" {
		t.Errorf("%s rows left", n)
	}
	if n := s.Value(t, "SELECT count(*) || ' ' || max(deleted) || ' ' || max(name) FROM spillway.sweep"); n != "1 19000 old" {
		t.Errorf("sweeps: %s", n)
	}
	select {
	case g := <-grown:
		if g.Table != `"public"."sessions"` || g.Server != "main" {
			t.Errorf("judged %+v", g)
		}
	case <-time.After(2 * time.Minute):
		t.Error("no judgement over its growth")
	}
}
