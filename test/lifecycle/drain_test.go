package lifecycle

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/pgtest"
)

// TestDrain: TERM fails readiness first; what is in a transaction finishes it,
// who is idle is told 57P01, and the process ends in order.
func TestDrain(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		s := pgtest.Start(t, pgtest.Options{})
		p := pgtest.Serve(t, k, pgtest.PoolerConfig{Server: s, Users: everyone()})
		url := p.URL(pgtest.Login{})
		idle, busy := pgtest.Connect(t, url), pgtest.Connect(t, url)
		if err := ask(t.Context(), idle); err != nil {
			t.Fatal(err)
		}
		s.Exec(t, "CREATE TABLE kept (n int)")
		tx, err := busy.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "INSERT INTO kept VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		if err := p.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		waitUnready(t, p.Admin)
		if code := codeOf(ask(t.Context(), idle)); code != "57P01" {
			t.Errorf("an idle client is told %q", code)
		}
		if _, err := pgx.Connect(t.Context(), url); err == nil {
			t.Error("a new client is still taken")
		}
		if _, err := tx.Exec(t.Context(), "INSERT INTO kept VALUES (2)"); err != nil {
			t.Errorf("the transaction in flight: %v", err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Errorf("commit while draining: %v", err)
		}
		if err := p.Wait(clientLimit); err != nil {
			t.Errorf("end of the process: %v", err)
		}
		if n := s.Value(t, "SELECT count(*) FROM kept"); n != "2" {
			t.Errorf("%s of 2 rows were kept", n)
		}
	})
}

func codeOf(err error) string {
	var told *pgconn.PgError
	if errors.As(err, &told) {
		return told.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func waitUnready(t *testing.T, admin string) {
	t.Helper()
	client := http.Client{Timeout: clientLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(clientLimit)
	for time.Now().Before(deadline) {
		answer, err := client.Get("http://" + admin + "/readyz")
		if err != nil {
			return // the admin address has gone with the process
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusServiceUnavailable {
			return
		}
		time.Sleep(5 * time.Millisecond) // readiness of another process is asked for
	}
	t.Fatal("readiness did not fail")
}

// TestTakeOver: a second process opens the same port, the first drains; nobody
// who comes is refused, again and again.
func TestTakeOver(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		s := pgtest.Start(t, pgtest.Options{})
		o := pgtest.PoolerConfig{Server: s, Users: everyone()}
		o.Set = map[string]any{"reuse_port": true}
		p := pgtest.Serve(t, k, o)
		text, err := os.ReadFile(p.Config)
		if err != nil {
			t.Fatal(err)
		}
		c := gather(8, visit(p.URL(pgtest.Login{})))
		c.await(t, 50)
		old := p.Proxy
		for range 4 {
			files := map[string]string{"userlist.txt": ""}
			users, err := os.ReadFile(filepath.Join(p.Dir, "userlist.txt"))
			if err != nil {
				t.Fatal(err)
			}
			files["userlist.txt"] = string(users)
			mark := strconv.Itoa(old.PID())
			next, err := pgtest.LaunchSpillway(string(text), pgtest.SpillwayOptions{Files: files, Listen: p.Addr()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := next.CloseSpillway(); err != nil {
					t.Error(err)
				}
			})
			if err := next.Log.WaitFor(clientLimit, "msg=serving"); err != nil {
				t.Fatal(err)
			}
			c.await(t, 50)
			if err := old.StopWith(syscall.SIGTERM, clientLimit); err != nil {
				t.Errorf("process %s: %v", mark, err)
			}
			c.await(t, 50)
			old = next
		}
		c.leave(t)
	})
}

// TestStayingClientsAreMovedAtABoundary: clients that stay are told 57P01 between their
// transactions, never in one, and come back to the successor.
func TestStayingClientsAreMovedAtABoundary(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		s := pgtest.Start(t, pgtest.Options{})
		s.Exec(t, "CREATE TABLE pairs (n int)")
		p := pgtest.Serve(t, k, pgtest.PoolerConfig{Server: s, Users: everyone(), Set: map[string]any{"reuse_port": true}})
		text, err := os.ReadFile(p.Config)
		if err != nil {
			t.Fatal(err)
		}
		users, err := os.ReadFile(filepath.Join(p.Dir, "userlist.txt"))
		if err != nil {
			t.Fatal(err)
		}
		c := gather(6, stay(p.URL(pgtest.Login{})))
		c.await(t, 20)
		next, err := pgtest.LaunchSpillway(string(text), pgtest.SpillwayOptions{Files: map[string]string{"userlist.txt": string(users)}, Listen: p.Addr()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := next.CloseSpillway(); err != nil {
				t.Error(err)
			}
		})
		if err := next.Log.WaitFor(clientLimit, "msg=serving"); err != nil {
			t.Fatal(err)
		}
		if err := p.StopWith(syscall.SIGTERM, clientLimit); err != nil {
			t.Error(err)
		}
		c.await(t, 20)
		c.leave(t, "57P01")
		if odd := s.Value(t, "SELECT count(*) % 2 FROM pairs"); odd != "0" {
			t.Error("half a transaction was committed")
		}
	})
}

// stay keeps a connection for many transactions of two rows each, as long as
// it is let; being told to go is an error only inside of a transaction.
func stay(url string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		for range 50 {
			tx, err := conn.Begin(ctx)
			if err != nil {
				return err // at the boundary: due, if it is 57P01
			}
			for i := range 2 {
				if _, err := tx.Exec(ctx, "INSERT INTO pairs VALUES ($1)", i); err != nil {
					return errors.New("inside of a transaction: " + err.Error())
				}
			}
			if err := tx.Commit(ctx); err != nil {
				return errors.New("at commit: " + err.Error())
			}
		}
		return nil
	}
}
