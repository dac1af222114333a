package sweep

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/run"
	"spillway/internal/sweep/target"
	"spillway/internal/sweep/when"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counted is a crew over one database, and how often that was connected to.
func counted(t *testing.T, s *pgtest.Server) (*Crew, *atomic.Int64) {
	t.Helper()
	dials := new(atomic.Int64)
	c := New(Config{
		Node: "test", Log: slog.New(slog.DiscardHandler), Note: func(string, any) {}, Grown: func(Growth) {},
		Places: func() []Place { return []Place{{Server: "main"}} },
		Reach: func(p Place) (Place, Access, error) {
			login, err := target.Parse(s.URL(pgtest.Login{}))
			if err != nil {
				return p, Access{}, err
			}
			dial := login.DialFunc
			login.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
				dials.Add(1)
				return dial(ctx, network, address)
			}
			return Place{"main", "postgres"}, Access{Config: login}, nil
		},
	})
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c, dials
}

// TestIdle: a node without sweeps looks once for those left behind and asks its
// servers nothing more; with a schedule it looks once a minute, and where one
// runs every time.
func TestIdle(t *testing.T) {
	s := pgtest.Start(t, pgtest.Options{})
	c, dials := counted(t, s)
	now := time.Now()
	looks := func(what string, after time.Duration, want bool) {
		t.Helper()
		before := dials.Load()
		now = now.Add(after)
		c.adoptAll(now)
		if looked := dials.Load() > before; looked != want {
			t.Errorf("%s: looked %v, want %v", what, looked, want)
		}
	}
	looks("at the start", 0, true)
	looks("without sweeps", time.Second, false)
	looks("without sweeps, a day later", 24*time.Hour, false)
	if list := c.List(t.Context()); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	looks("after a list of nothing", time.Minute, false)
	daily, err := when.ParseSchedule("@daily", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Keep([]Timed{{Order: Order{Name: "old"}, Schedule: daily}})
	looks("with a schedule", time.Minute, true)
	looks("right after", 5*time.Second, false)
	c.Keep(nil)
	s.Exec(t, "CREATE TABLE sessions (id int PRIMARY KEY); INSERT INTO sessions SELECT generate_series(1, 100)")
	_, access, err := c.reach(Place{})
	if err != nil {
		t.Fatal(err)
	}
	order := Order{}
	order.Table, order.Where = "sessions", "id <= 90"
	id, err := access.Begin(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	looks("nobody said that another node has begun one", 10*time.Minute, false)
	c.List(t.Context())
	looks("somebody has seen one", 5*time.Second, true)
	looks("and it is there still", 5*time.Second, true)
	if n := s.Value(t, "SELECT count(*) FROM sessions"); n != "100" {
		t.Errorf("%s rows: a command's sweep is not adopted", n)
	}
	// As if a node had begun it and died.
	s.Exec(t, "UPDATE spillway.sweep SET holder = 'node elsewhere', beat = now() - interval '1 min'")
	looks("a node's sweep without a runner", 5*time.Second, true)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if s.Value(t, "SELECT phase FROM spillway.sweep WHERE id = "+fmt.Sprint(id)) == string(run.Done) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not taken up")
		}
	}
	c.List(t.Context())
	looks("it is over", 5*time.Second, false)
	if n := s.Value(t, "SELECT count(*) FROM sessions"); n != "10" {
		t.Errorf("%s rows", n)
	}
	s.Exec(t, "UPDATE spillway.sweep SET phase = 'paused'")
	c.List(t.Context())
	looks("paused", 5*time.Second, false)
	looks("paused for a minute", time.Minute, true)
}
