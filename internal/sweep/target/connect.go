package target

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Application begins the application_name of every connection a sweep makes;
// brakes do not count those as foreground.
const Application = "spillway sweep"

// connectWithin bounds one login.
const connectWithin = 10 * time.Second

// Parse reads a connection URL. Its error does not quote a password.
func Parse(url string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read url: %w", err)
	}
	return c, nil
}

// Connect opens a session of a sweep. The caller closes it. Values are printed
// in forms that read back exactly whatever the role's settings are; search_path
// stays the role's own, as triggers may count on it.
func Connect(ctx context.Context, c *pgx.ConnConfig, purpose string) (*pgx.Conn, error) {
	c = c.Copy()
	for name, value := range map[string]string{
		"application_name": Application + " " + purpose, "datestyle": "ISO", "intervalstyle": "postgres",
		"extra_float_digits": "1", "bytea_output": "hex", "client_encoding": "UTF8",
		"standard_conforming_strings": "on", "idle_in_transaction_session_timeout": "60000",
	} {
		c.RuntimeParams[name] = value
	}
	// A host that swallows packets must not hold the sweep for ever.
	c.ConnectTimeout = connectWithin
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	conn.TypeMap() // built now, not in the first batch
	return conn, nil
}

// Code is the SQLSTATE of an error, "" when PostgreSQL did not send it.
func Code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// Close ends a session without waiting long for the other side.
func Close(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server may be gone already
}

// GenericPlans makes a session plan each prepared statement once, instead of five
// times first to see whether the values matter. Server 12 and later know it.
const GenericPlans = `SELECT set_config('plan_cache_mode', 'force_generic_plan', false) WHERE current_setting('server_version_num')::int >= 120000`

// Direct refuses a session that a pooler lends: locks, settings and the backend
// that the brakes look at would be another's after every transaction.
func Direct(ctx context.Context, conn *pgx.Conn) error {
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()::oid").Scan(&pid); err != nil {
		return fmt.Errorf("ask for the backend: %w", err)
	}
	if pid != conn.PgConn().PID() {
		return refuse("the connection leads through a pooler, where a sweep's lock would not be its own", "give the address of PostgreSQL itself")
	}
	return nil
}
