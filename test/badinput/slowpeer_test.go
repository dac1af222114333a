package badinput

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"spillway/internal/pgtest"
	"spillway/test/raw"
)

// TestSlowPeersLoseNothing: with TLS on both sides and in the clear, COPYs of any
// length into a server that is slow to take them end, clients that are slow to
// read get their results to the last byte, and what a server says before it ends
// comes first.
func TestSlowPeersLoseNothing(t *testing.T) {
	certs := pgtest.TestCerts(t)
	s := pgtest.Start(t, pgtest.Options{Certs: certs})
	s.Exec(t, "CREATE DATABASE app")
	if _, err := s.QueryIn("app", slowTable); err != nil {
		t.Fatal(err)
	}
	for _, k := range pgtest.AllKinds(t, "transaction") {
		for _, mode := range []string{"disable", "require"} {
			t.Run(strings.ReplaceAll(k.String(), "/", " ")+" "+mode, func(t *testing.T) {
				url := strings.ReplaceAll(s.URL(pgtest.Login{}), "sslmode=disable", "sslmode="+mode)
				p := pgtest.Serve(t, k, pgtest.PoolerConfig{Server: s, PoolSize: 4, Certs: certs, Users: map[string]string{"postgres": ""},
					Set: map[string]any{"servers.main.url": url}})
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				var clients sync.WaitGroup
				for i := range uint64(4) {
					clients.Go(func() {
						if err := slowly(p.Addr(), mode == "require", rand.New(rand.NewPCG(seed, i))); err != nil {
							t.Error(err)
						}
					})
				}
				clients.Wait()
			})
		}
	}
}

// slowTable takes a few rows at a time.
const slowTable = `CREATE UNLOGGED TABLE slow (v text);
	CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$;
	CREATE TRIGGER pause BEFORE INSERT ON slow FOR EACH ROW WHEN (NEW.v LIKE 'pause%') EXECUTE FUNCTION pause()`

// slowly is one client's share: a session, and a few that end with their server.
func slowly(addr string, encrypted bool, r *rand.Rand) error {
	err := session(addr, encrypted, func(c *raw.Conn) error {
		for range 15 {
			if err := copySlowly(c, r); err != nil {
				return fmt.Errorf("copy in: %w", err)
			}
			if err := readSlowly(c, 1+r.IntN(6<<10), ""); err != nil {
				return fmt.Errorf("read: %w", err)
			}
		}
		return nil
	})
	for range 6 {
		if err == nil {
			err = session(addr, encrypted, func(c *raw.Conn) error {
				return readSlowly(c, 1+r.IntN(6<<10), "DO 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END'")
			})
		}
	}
	return err
}

func session(addr string, encrypted bool, do func(*raw.Conn) error) error {
	c, err := slowClient(addr, encrypted)
	if err != nil {
		return err
	}
	defer c.Close() // which fails where the server has gone first
	return do(c)
}

// slowClient logs in over a connection with small buffers.
func slowClient(addr string, encrypted bool) (*raw.Conn, error) {
	plain, err := net.DialTimeout("tcp", addr, raw.Limit)
	if err != nil {
		return nil, err
	}
	err = plain.(*net.TCPConn).SetReadBuffer(32 << 10)
	c := raw.New(plain)
	if encrypted && err == nil {
		var answer [1]byte
		if err = c.Send([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err == nil {
			_, err = io.ReadFull(plain, answer[:])
		}
		c = raw.New(tls.Client(plain, &tls.Config{InsecureSkipVerify: true})) // the test's own authority
	}
	if err == nil {
		_, err = c.Login(map[string]string{"user": "postgres", "database": "app"})
	}
	if err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	return c, nil
}

// copySlowly sends all of a COPY at once, and then waits for its end.
func copySlowly(c *raw.Conn, r *rand.Rand) error {
	if err := c.SendMessages(&pgproto3.Query{String: "COPY slow FROM STDIN"}); err != nil {
		return err
	}
	if _, err := c.ReadUntil("G"); err != nil {
		return err
	}
	row := append(bytes.Repeat([]byte("v"), 1000), '\n')
	messages := []pgproto3.FrontendMessage{&pgproto3.CopyData{Data: []byte("pause\n")}}
	for i := range r.IntN(9 << 10) {
		if i%2000 == 1999 {
			messages = append(messages, &pgproto3.CopyData{Data: []byte("pause\n")})
		}
		messages = append(messages, &pgproto3.CopyData{Data: row})
	}
	if err := c.SendMessages(append(messages, &pgproto3.CopyDone{})...); err != nil {
		return err
	}
	_, err := c.ReadUntil("CZ")
	return err
}

// readSlowly fetches so many rows of 1 kB, and what follows them; with a last
// statement the server's end comes behind them.
func readSlowly(c *raw.Conn, rows int, last string) error {
	if err := c.Send(query(fmt.Sprintf("SELECT repeat('r', 1000) FROM generate_series(1, %d); %s", rows, last))); err != nil {
		return err
	}
	got := 0
	for {
		m, err := c.Read()
		if err != nil {
			return fmt.Errorf("after %d of %d rows: %w", got, rows, err)
		}
		switch {
		case m.Type == 'D':
			got++
			if got%400 == 0 {
				time.Sleep(time.Millisecond) // a slow reader
			}
		case m.Type == 'E' && (last == "" || raw.Fields(m.Body)['C'] != "57P01"):
			return fmt.Errorf("after %d of %d rows: %q", got, rows, m.Body)
		case m.Type == 'E', m.Type == 'Z':
			if got != rows {
				return fmt.Errorf("got %d of %d rows", got, rows)
			}
			return nil
		}
	}
}
