package badinput

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"spillway/internal/pgtest"
	"spillway/test/raw"
)

// perAddress is how many clients one address may have in the flood.
const perAddress = 200

func begin(t *testing.T, k pgtest.Kind, o pgtest.PoolerConfig) *pgtest.Pooler {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{})
	s.Exec(t, "CREATE DATABASE app")
	o.Server, o.PoolSize = s, 4
	return pgtest.Serve(t, k, o)
}

func eachDriver(t *testing.T, test func(t *testing.T, k pgtest.Kind)) {
	t.Helper()
	for _, k := range pgtest.Kinds(t, "transaction") {
		t.Run(strings.ReplaceAll(k.String(), "/", " "), func(t *testing.T) { test(t, k) })
	}
}

func TestBadInputEndsByRule(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		p := begin(t, k, pgtest.PoolerConfig{Users: map[string]string{"postgres": ""}})
		b := watch(t, p)
		before, err := stand(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range inputs() {
			if err := in.try(p.Addr()); err != nil {
				t.Errorf("%s: %v", in.name, err)
			}
		}
		settle(t, p, before)
		b.leave(t)
	})
}

// try says the input and checks the answer: one FATAL of the right code, or
// nothing, then the end.
func (in input) try(addr string) error {
	c, err := raw.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if in.login {
		if _, err := c.Login(map[string]string{"user": "postgres", "database": "app"}); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
	}
	if err := c.Send(in.say); err != nil && !gone(err) {
		return err
	}
	codes, err := ending(c)
	if errors.Is(err, errLives) && in.lives {
		err = nil
	}
	if err != nil {
		return err
	}
	if got := strings.Join(codes, " "); got != in.code {
		return fmt.Errorf("answered %q, want %q", got, in.code)
	}
	return nil
}

var errLives = errors.New("is still served")

// ending reads until the other side closes; codes are those of its errors.
// Answers to a login without a password are passed over.
func ending(c *raw.Conn) (codes []string, err error) {
	for {
		m, err := c.Read()
		if errors.Is(err, io.EOF) || gone(err) {
			return codes, nil
		}
		if err != nil {
			return codes, err
		}
		switch m.Type {
		case 'E':
			fields := raw.Fields(m.Body)
			if fields['M'] == "" {
				return codes, errors.New("an error without a text")
			}
			codes = append(codes, fields['C'])
		case 'Z':
			return codes, errLives
		}
	}
}

// gone says whether the peer has closed without reading all we sent.
func gone(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// TestSilence: half a message and then nothing. Before login the client is let
// go at timeouts.client_login; afterwards it harms nobody, and holds no server.
func TestSilence(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		p := begin(t, k, pgtest.PoolerConfig{Users: map[string]string{"postgres": ""}, Set: map[string]any{"timeouts.client_login": "8s"}})
		b := watch(t, p)
		before, err := stand(p)
		if err != nil {
			t.Fatal(err)
		}
		startup := raw.Startup(raw.V30, map[string]string{"user": "postgres", "database": "app"})
		var silent sync.WaitGroup
		for _, half := range [][]byte{nil, startup[:3], startup[:20], startup[:len(startup)-1]} {
			c, err := raw.Dial(p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Send(half); err != nil {
				t.Fatal(err)
			}
			silent.Go(func() {
				defer c.Close()
				if codes, err := ending(c); err != nil || len(codes) > 1 {
					t.Errorf("%d bytes, then silence: %v, %v", len(half), codes, err)
				}
			})
		}
		silent.Wait()
		holdHalf(t, p)
		settle(t, p, before)
		b.leave(t)
	})
}

// holdHalf logs in more clients than there are servers; each sends half a
// query and stays. A client with a whole query must still be served.
func holdHalf(t *testing.T, p *pgtest.Pooler) {
	t.Helper()
	query := append(message('Q', 4+9, []byte("SELECT 1")...), 0)
	for _, n := range []int{1, 4, 7, len(query) - 1} {
		for range 4 {
			c, err := raw.Dial(p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Login(map[string]string{"user": "postgres", "database": "app"}); err != nil {
				t.Fatal(err)
			}
			if err := c.Send(query[:n]); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := raw.Dial(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Login(map[string]string{"user": "postgres", "database": "app"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Query("SELECT 1"); err != nil {
		t.Errorf("a whole query beside 16 halves: %v", err)
	}
}

// TestWrongPasswordsAndUnknownUsersLookTheSame: the messages of both are equal
// but for what is random.
func TestWrongPasswordsAndUnknownUsersLookTheSame(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		p := begin(t, k, pgtest.PoolerConfig{Users: map[string]string{"postgres": "right", "alice": "right"}})
		said := map[string]string{}
		for _, user := range []string{"alice", "nobody"} {
			code, shape := knock(t, p, user)
			if code != "28P01" {
				t.Errorf("%s: SQLSTATE %q", user, code)
			}
			said[user] = shape
		}
		if said["alice"] != said["nobody"] {
			t.Errorf("a wrong password and an unknown user differ:\n%s\n%s", said["alice"], said["nobody"])
		}
	})
}

// knock begins SCRAM and answers it wrongly; shape is what the server said,
// lengths in place of what is random.
func knock(t *testing.T, p *pgtest.Pooler, user string) (code, shape string) {
	t.Helper()
	c, err := raw.Dial(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(raw.Startup(raw.V30, map[string]string{"user": user, "database": "app"})); err != nil {
		t.Fatal(err)
	}
	first := []byte("n,,n=,r=fyko+d2lbbFgONRv9qkxdawL")
	say := append([]byte("SCRAM-SHA-256\x00"), 0, 0, 0, byte(len(first)))
	answers := [][]byte{append(say, first...), nil}
	for {
		m, err := c.Read()
		if err != nil {
			return code, shape
		}
		if m.Type == 'E' {
			f := raw.Fields(m.Body)
			return f['C'], shape + strings.ReplaceAll(f['M'], user, "USER")
		}
		shape += fmt.Sprintf("%c%d ", m.Type, len(m.Body))
		if _, server, found := bytes.Cut(m.Body, []byte("r=")); found {
			nonce, _, _ := bytes.Cut(server, []byte(","))
			answers[0] = []byte("c=biws,r=" + string(nonce) + ",p=" + strings.Repeat("A", 43) + "=")
		}
		answer := answers[0]
		if err := c.Send(message('p', uint32(4+len(answer)), answer...)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFloodFromOneAddress: the address gets what it may have and a clear error
// for the rest; a client by another way is served all the while.
func TestFloodFromOneAddress(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		p := begin(t, k, pgtest.PoolerConfig{Users: map[string]string{"postgres": ""}, Set: map[string]any{
			"limits.max_clients_per_address": perAddress, "timeouts.client_login": "5s"}})
		b := watch(t, p)
		before, err := stand(p)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		refused, kept := flood(t, p.Addr())
		// Each login time lets as many in again.
		allowed := int64(perAddress) * int64(1+time.Since(began)/(5*time.Second))
		t.Logf("%d refused, %d kept to the end of the login time", refused, kept)
		if refused == 0 || kept > allowed {
			t.Errorf("the limit of %d did not hold", perAddress)
		}
		settle(t, p, before)
		b.leave(t)
	})
}

// floodSize is how many connections one address opens.
func floodSize(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SPILLWAY_FLOOD")
	if text == "" {
		return 20000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SPILLWAY_FLOOD: %v", err)
	}
	return n
}

// flood opens connections that say nothing, from an address of its own, 500 at
// a time, and reads how each ends.
func flood(t *testing.T, addr string) (refused, kept int64) {
	t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}, Timeout: raw.Limit}
	var no, silent, wrong atomic.Int64
	var all sync.WaitGroup
	places := make(chan struct{}, 500)
	for range floodSize(t) {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			conn, err := from.Dial("tcp", addr)
			if err != nil {
				wrong.Add(1)
				return
			}
			defer conn.Close()
			codes, err := ending(raw.New(conn))
			switch {
			case err == nil && len(codes) == 1 && codes[0] == "53300":
				no.Add(1)
			case err == nil:
				silent.Add(1)
			default:
				wrong.Add(1)
			}
		})
	}
	all.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d connections ended in no way there is a rule for", n)
	}
	return no.Load(), silent.Load()
}

func get(client *http.Client, url string) (string, error) {
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}
