package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// queryLimit bounds one administrative statement.
const queryLimit = 3 * time.Minute

// Login says who connects to what. Empty means user postgres, no password,
// the database postgres.
type Login struct {
	User, Password, Database string
	Params                   map[string]string // further URL parameters, such as sslmode
}

// URL returns the address of a PostgreSQL-speaking server as a URL.
func URL(host string, port int, l Login) string {
	u := url.URL{Scheme: "postgres", Host: host + ":" + strconv.Itoa(port), Path: "/" + orElse(l.Database, "postgres")}
	u.User = url.User(orElse(l.User, "postgres"))
	if l.Password != "" {
		u.User = url.UserPassword(orElse(l.User, "postgres"), l.Password)
	}
	q := url.Values{}
	for k, v := range l.Params {
		q.Set(k, v)
	}
	if !q.Has("sslmode") {
		q.Set("sslmode", "disable")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// URL returns the TCP address as a URL; sslmode is disable unless given.
func (s *Server) URL(l Login) string { return URL(s.Host(), s.Port, l) }

// SocketURL is URL over the unix socket.
func (s *Server) SocketURL(l Login) string {
	u := url.URL{Scheme: "postgres", Path: "/" + orElse(l.Database, "postgres")}
	q := url.Values{"host": {s.SocketDir}, "port": {strconv.Itoa(s.Port)}, "user": {orElse(l.User, "postgres")}, "sslmode": {"disable"}}
	if l.Password != "" {
		q.Set("password", l.Password)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// Query runs SQL (several statements may be joined by ;) as the superuser in
// database postgres over the socket and returns the last statement's rows as
// text, NULL as "".
func (s *Server) Query(sql string) ([][]string, error) { return s.QueryIn("postgres", sql) }

// QueryIn is Query in another database.
func (s *Server) QueryIn(database, sql string) ([][]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryLimit)
	defer cancel()
	conn, err := pgconn.Connect(ctx, s.SocketURL(Login{Database: database}))
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	results, err := conn.Exec(ctx, sql).ReadAll()
	closeErr := conn.Close(ctx)
	if err != nil {
		return nil, fmt.Errorf("run %.200q: %w", sql, err)
	}
	if closeErr != nil {
		return nil, fmt.Errorf("close connection: %w", closeErr)
	}
	return lastRows(results), nil
}

func lastRows(results []*pgconn.Result) [][]string {
	if len(results) == 0 {
		return nil
	}
	var rows [][]string
	for _, r := range results[len(results)-1].Rows {
		row := make([]string, len(r))
		for i, v := range r {
			row[i] = string(v)
		}
		rows = append(rows, row)
	}
	return rows
}

// Exec is Query that fails the test.
func (s *Server) Exec(t testing.TB, sql string) [][]string {
	t.Helper()
	rows, err := s.Query(sql)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Value runs SQL as the superuser and returns the first column of the first
// row; no row fails the test.
func (s *Server) Value(t testing.TB, sql string) string {
	t.Helper()
	rows := s.Exec(t, sql)
	if len(rows) == 0 || len(rows[0]) == 0 {
		t.Fatalf("run %q: no row", sql)
	}
	return rows[0][0]
}

// Connect opens a pgx connection that closes with the test.
func Connect(t testing.TB, connString string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), queryLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, connString)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx) // the other end may be gone on purpose
	})
	return conn
}
