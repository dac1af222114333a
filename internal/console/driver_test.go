package console

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"go.uber.org/goleak"

	"spillway/internal/proxy"
	"spillway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serveOne does for one connection what the proxy does around a console.
func serveOne(conn net.Conn, c proxy.Console, admin bool) error {
	defer conn.Close()
	in := bufio.NewReader(conn)
	var size [4]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint32(size[:])-4)); err != nil {
		return err
	}
	out := wire.AppendAuth(nil, wire.AuthOK, nil)
	for _, p := range c.Parameters() {
		out = wire.AppendParameterStatus(out, p[0], p[1])
	}
	out = wire.AppendReady(wire.AppendBackendKey(out, 1, []byte{0, 0, 0, 2}), wire.Idle)
	if _, err := conn.Write(out); err != nil {
		return err
	}
	session := c.Open("someone", admin)
	defer session.Close()
	for {
		var header [5]byte
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		reply, err := session.Message(context.Background(), header[0], body, nil)
		if err != nil {
			return err
		}
		if _, err := conn.Write(reply); err != nil {
			return err
		}
	}
}

// dial is a real driver on a console.
func dial(t *testing.T, b *bench, mode pgx.QueryExecMode) *pgx.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- serveOne(theirs, b.console, true) }()
	config, err := pgx.ParseConfig("postgres://someone@127.0.0.1/pgbouncer?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = mode
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return ours, nil }
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
	return conn
}

// TestPgx talks to the console with a real driver in each of its modes: it asks
// for binary where it can.
func TestPgx(t *testing.T) {
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			b := newBench(t, true)
			conn := dial(t, b, mode)
			if err := conn.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			for range 2 { // the second time from the driver's cache
				readEverything(t, conn)
			}
			if tag, err := conn.Exec(t.Context(), "PAUSE app"); err != nil || tag.String() != "PAUSE" {
				t.Error(tag, err)
			}
			b.wasAsked("pause(app)")
			var refused *pgconn.PgError
			if _, err := conn.Exec(t.Context(), "NONSENSE"); !errors.As(err, &refused) || refused.Code != codeSyntax {
				t.Error(err)
			}
			var one int
			if err := conn.QueryRow(t.Context(), "select 1").Scan(&one); err != nil || one != 1 {
				t.Error(one, err)
			}
		})
	}
}

func readEverything(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for _, c := range shows() {
		rows, err := conn.Query(t.Context(), c.name)
		if err != nil {
			t.Fatal(c.name, err)
		}
		for rows.Next() {
			if _, err := rows.Values(); err != nil {
				t.Error(c.name, err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Error(c.name, err)
		}
	}
	var waiting, maxwait int32
	var received pgtype.Numeric
	err := conn.QueryRow(t.Context(), "SHOW POOLS").Scan(nil, nil, nil, &waiting, nil, nil, nil, nil, nil, nil, nil, nil, nil, &maxwait, nil, nil, nil)
	if err != nil || waiting != 3 || maxwait != 13 {
		t.Errorf("pools: %d waiting, maxwait %d: %v", waiting, maxwait, err)
	}
	err = conn.QueryRow(t.Context(), "SHOW STATS_TOTALS").Scan(nil, nil, nil, nil, &received, nil, nil, nil, nil, nil, nil, nil)
	if n, convErr := received.Int64Value(); err != nil || convErr != nil || n.Int64 != 1003 {
		t.Errorf("stats: %v received: %v %v", n, err, convErr)
	}
}
