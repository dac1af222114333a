package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/probe"
	"spillway/internal/sample"
	"spillway/internal/statement"
)

// Config says which server is asked and for what.
type Config struct {
	Name string
	// Login is how the maintenance role connects to a database; "" is that of
	// the server's url. Asked before every connection.
	Login     func(database string) (*pgx.ConnConfig, error)
	Databases []string // whose tables are watched
	Tables    []string // by name, schema.table or database.schema.table, beside the largest and the deadest
	Every     Intervals
}

// Intervals are how often each thing is asked; 0 is never.
type Intervals struct{ Activity, Replication, Vitals, Tables, Statements time.Duration }

// Usual are the intervals without a config: what can hurt within seconds is
// asked every two of them.
func Usual() Intervals {
	return Intervals{Activity: 2 * time.Second, Replication: 5 * time.Second, Vitals: 30 * time.Second, Tables: time.Minute, Statements: time.Minute}
}

// maxDatabases bounds the connections kept for tables.
const maxDatabases = 8

// Server asks one server.
type Server struct {
	config     Config
	fast, slow *link
	tables     []*link // one for each of config.Databases

	activity   probe.Slot[sample.Activity]
	replicas   probe.Slot[sample.Replication]
	vitals     probe.Slot[sample.Vitals]
	tableStats probe.Slot[sample.Tables]
	statements probe.Slot[sample.Statements]

	replay map[string]replayMark // by replica; used by the replication probe alone
	own    replayMark            // of the server itself, where it is a replica
	top    topMark               // used by the statements probe alone
}

// New makes the probes of one server.
func New(c Config) *Server {
	s := &Server{config: c, replay: map[string]replayMark{}}
	login := func(database string) func() (*pgx.ConnConfig, error) {
		return func() (*pgx.ConnConfig, error) { return c.Login(database) }
	}
	way := new(door)
	s.fast, s.slow = newLink(login(""), way), newLink(login(""), way)
	for _, database := range c.Databases[:min(len(c.Databases), maxDatabases)] {
		s.tables = append(s.tables, newLink(login(database), way))
	}
	return s
}

// Limits of one run of each probe.
const (
	fastTimeout = 3 * time.Second
	slowTimeout = 10 * time.Second
)

// Probes are what a Runner runs.
func (s *Server) Probes() []probe.Probe {
	var list []probe.Probe
	add := func(name string, every, timeout time.Duration, run func(context.Context) error, withdraw func()) {
		if every > 0 {
			list = append(list, probe.Probe{Name: "postgres " + s.config.Name + " " + name, Server: s.config.Name, Every: every, Timeout: timeout, Withdraw: withdraw,
				Run: func(ctx context.Context) error { return short(run(ctx)) }})
		}
	}
	e := s.config.Every
	add("activity", e.Activity, fastTimeout, s.lookActivity, s.activity.Withdraw)
	add("replication", e.Replication, fastTimeout, s.lookReplication, s.replicas.Withdraw)
	add("vitals", e.Vitals, slowTimeout, s.lookVitals, s.vitals.Withdraw)
	if len(s.tables) > 0 {
		add("tables", e.Tables, slowTimeout, s.lookTables, s.tableStats.Withdraw)
	}
	add("statements", e.Statements, slowTimeout, s.lookStatements, s.statements.Withdraw)
	return list
}

// Seen is what was seen last; parts that could not be read are nil.
func (s *Server) Seen(at time.Time) *sample.Postgres {
	e := s.config.Every
	return &sample.Postgres{
		Activity: s.activity.Get(at, probe.Stale(e.Activity, fastTimeout)),
		Replicas: s.replicas.Get(at, probe.Stale(e.Replication, fastTimeout)),
		Vitals:   s.vitals.Get(at, probe.Stale(e.Vitals, slowTimeout)),
		Tables:   s.tableStats.Get(at, probe.Stale(e.Tables, slowTimeout)),
		Top:      s.statements.Get(at, probe.Stale(e.Statements, slowTimeout)),
	}
}

// Close ends the connections; the probes must have ended.
func (s *Server) Close() {
	for _, l := range append([]*link{s.fast, s.slow}, s.tables...) {
		l.close()
	}
}

// short keeps an error to what a person needs: the server's own words, or what
// the network said, without the addresses and settings around it.
func short(err error) error {
	if err == nil {
		return nil
	}
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return fmt.Errorf("%s (SQLSTATE %s)", said.Message, said.Code)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	text := err.Error()
	if at := strings.LastIndex(text, "dial error"); at >= 0 {
		text = text[at:]
	}
	return errors.New(strings.Join(strings.Fields(text), " "))
}

// shownBytes bounds a statement on screens.
const shownBytes = 300

func shownSQL(text string) string {
	return string(statement.Redact(nil, []byte(text), true, shownBytes))
}

func span(seconds float64) time.Duration {
	return time.Duration(max(seconds, 0) * float64(time.Second))
}
