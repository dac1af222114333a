package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/drill/gauge"
	"spillway/internal/drill/load"
	"spillway/internal/drill/outcome"
	"spillway/internal/drill/rig"
)

// loginStorm is what follows a restart in reports 000 and 003.
func loginStorm() Drill {
	return Drill{
		Name: "login-storm", Title: "Thousands of clients reconnect at once after a restart", Reports: []string{"000", "003"},
		Story: "PostgreSQL restarts. Everybody who had a connection, and everybody who waited for an answer, connects at the same moment, is refused, and tries again at once: " +
			"the server spends itself on logins and refusals, and those that matter do not get in among the others.",
		Hypothesis: "Behind Spillway clients keep their sessions or get one at its door; PostgreSQL sees at most 30 logins in any second, the API goes on as soon as the server is back, and everybody is served.",
		Steady:     "The API answers 60 requests a second; the other clients are quiet, as their pools have shrunk; the operator's psql gets in.",
		Report:     Told{Recovered: "1 h (003: 4:00 PM to 5:00 PM, \"intermittent connectivity\")"},
		Cause:      gauge.Cause{Words: []string{"cannot be reached", "cannot connect to the server", "shutting down", "starting up"}},
		Culprit:    []string{"shop"}, NameWithin: 10 * time.Second,
		Play: loginStormPlay,
		Extra: func(r *outcome.Result) []outcome.Promise {
			g := r.Guarded.Figures
			return []outcome.Promise{
				{Text: "guarded, PostgreSQL sees at most 30 logins in any second after the restart", Saw: fmt.Sprint(g.Knocks), Held: g.Knocks > 0 && g.Knocks <= 30},
				{
					Text: "guarded, every client is served within 15 s of the server's return", Saw: servedText(&g),
					Held: g.AllServed != nil && *g.AllServed <= 15,
				},
			}
		},
	}
}

const loginStormFragment = `limits: {max_clients: 30000}
workloads:
  api:     {match: {user: api}, class: critical, share: %d, limit: %d, queue_timeout: 10s}
  shop:    {match: {user: shop}, class: normal, share: %d, limit: %d, queue_timeout: 60s}
  default: {class: normal, share: 5, limit: 10}
`

func loginStormPlay(scale float64) Play {
	probe, options := rig.ProbeRole()
	slots := min(amount(scale, 200, 40), 200)
	crowd := amount(scale, 2000, 200)
	p := Play{
		Steady: span(scale, 8*time.Second, time.Second), Fault: span(scale, 40*time.Second, 9*time.Second), After: span(scale, 10*time.Second, 2*time.Second),
		Setup: rig.Setup{
			Settings: map[string]string{"max_connections": strconv.Itoa(slots), "log_connections": "on"},
			Roles:    map[string]string{"api": "", "shop": "", operatorRole: options, probe: options},
			SQL: []string{
				"CREATE TABLE item (id int PRIMARY KEY, v int NOT NULL DEFAULT 0)",
				"INSERT INTO item SELECT generate_series(1, 10000)", "GRANT ALL ON item TO PUBLIC", "ANALYZE",
			},
		},
		API: load.API{
			Rate: 60, Deadline: span(scale, 10*time.Second, 4*time.Second), Conns: 10, Lifetime: time.Second, Rows: 10000, Retry: true,
			SQL: []string{"SELECT v FROM item WHERE id = $1"},
		},
		Load: []string{
			"API: 60 reads a second over pgx's own pool of 10, connections renewed every second, 10 s each at most; what fails with its connection is tried again within them",
			"operator: psql with a new login every 2 s, asks who holds most connections",
			fmt.Sprintf("fault: PostgreSQL is away for 3 s; %d clients (pgx) come at once, try again after 50 to 200 ms when refused, keep the connection they get and ask every 5 s", crowd),
		},
		Bound: slots / 5, Restart: true,
		Strike: func(ctx context.Context, s *Scene) error { return strikeStorm(ctx, s, crowd) },
	}
	p.Fragment = fmt.Sprintf(loginStormFragment, slots/2, slots*7/10, slots/8, slots/5)
	return p
}

// stormAway is how long the server is away.
const stormAway = 3 * time.Second

func strikeStorm(ctx context.Context, s *Scene, clients int) error {
	defer s.Gauge.Event("drill", "fault", "the clients leave")
	c := newCrew(ctx)
	var back atomic.Int64 // when the server was back, in the gauge's milliseconds
	served := newTally(clients)
	c.run("restart", func(ctx context.Context) error {
		if err := s.restart(ctx, min(stormAway, s.Play.Fault/8)); err != nil {
			return err
		}
		back.Store(int64(s.Gauge.Now() * 1000))
		return nil
	})
	config, err := pgx.ParseConfig(s.Login.URL("shop"))
	if err != nil {
		return fmt.Errorf("read the clients' url: %w", err)
	}
	config.RuntimeParams["application_name"] = "shop"
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	s.Gauge.Event("drill", "fault", fmt.Sprintf("%d clients come at once", clients))
	for n := range clients {
		c.run("client", func(ctx context.Context) error {
			stormClient(ctx, config, func() { served.done(n, s.Gauge.Now()) })
			return nil
		})
	}
	<-ctx.Done()
	err = c.end()
	s.crowd(clients, served, float64(back.Load())/1000)
	return err
}

// stormClient comes back until it is served, keeps its connection and asks now
// and then; when that breaks it comes back again.
func stormClient(ctx context.Context, config *pgx.ConnConfig, served func()) {
	for ctx.Err() == nil {
		conn, err := stormConnect(ctx, config)
		for err == nil && ctx.Err() == nil {
			pause := 4*time.Second + rand.N(2*time.Second)
			if err := stormAsk(ctx, conn); conn.IsClosed() {
				break
			} else if err != nil {
				pause = 50*time.Millisecond + rand.N(150*time.Millisecond)
			} else {
				served()
			}
			rest(ctx, pause)
		}
		if conn != nil {
			_ = conn.PgConn().Conn().Close() // a client that ends does not say goodbye
		}
		rest(ctx, 50*time.Millisecond+rand.N(150*time.Millisecond))
	}
}

// stormPatience is how long a client waits for a login or an answer.
const stormPatience = 10 * time.Second

func stormConnect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, stormPatience)
	defer cancel()
	return pgx.ConnectConfig(ctx, config.Copy())
}

func stormAsk(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, stormPatience)
	defer cancel()
	_, err := conn.Exec(ctx, "SELECT v FROM item WHERE id = 7")
	return err
}

// tally is who has been served, and when the last one was for the first time.
type tally struct {
	mu   sync.Mutex
	seen []bool  // guarded by mu
	n    int     // guarded by mu
	last float64 // guarded by mu
}

func newTally(n int) *tally { return &tally{seen: make([]bool, n)} }

func (t *tally) done(n int, at float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.seen[n] {
		t.seen[n] = true
		t.n++
		t.last = at
	}
}

// crowd notes how the clients fared.
func (s *Scene) crowd(clients int, t *tally, back float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.figures.Crowd, s.figures.Served = clients, t.n
	if t.n == clients && back > 0 {
		took := max(t.last-back, 0)
		s.figures.AllServed = &took
	}
}

func servedText(f *outcome.Figures) string {
	text := fmt.Sprintf("%d of %d", f.Served, f.Crowd)
	if f.AllServed != nil {
		text += ", the last after " + took(*f.AllServed)
	}
	return text
}
