package contain

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"spillway/internal/pgtest"
	"spillway/internal/wire"
)

// slowDoor stands before PostgreSQL and keeps cancel requests waiting, as a
// postmaster does that gets no processor.
type slowDoor struct {
	door    net.Listener
	to      string
	let     chan struct{} // closed when cancel requests may go on
	through chan struct{} // one for every one that PostgreSQL has taken
	done    sync.WaitGroup
}

func startSlowDoor(t *testing.T, to string) *slowDoor {
	t.Helper()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &slowDoor{door: door, to: to, let: make(chan struct{}), through: make(chan struct{}, 100)}
	d.done.Go(func() {
		for {
			conn, err := door.Accept()
			if err != nil {
				return
			}
			d.done.Go(func() { d.pass(conn) })
		}
	})
	t.Cleanup(func() {
		_ = door.Close()
		d.done.Wait()
	})
	return d
}

func (d *slowDoor) pass(from net.Conn) {
	defer from.Close()
	head := make([]byte, 8)
	if _, err := io.ReadFull(from, head); err != nil {
		return
	}
	isCancel := binary.BigEndian.Uint32(head[4:]) == wire.CodeCancel
	if isCancel {
		rest := make([]byte, binary.BigEndian.Uint32(head)-8)
		if _, err := io.ReadFull(from, rest); err != nil {
			return
		}
		head = append(head, rest...)
		<-d.let
	}
	to, err := net.Dial("tcp", d.to)
	if err != nil {
		return
	}
	defer to.Close()
	if _, err := to.Write(head); err != nil {
		return
	}
	if !isCancel {
		d.done.Go(func() {
			_, _ = io.Copy(to, from)
			_ = to.Close()
		})
	}
	_, _ = io.Copy(from, to)
	if isCancel {
		d.through <- struct{}{}
	}
}

// TestALateCancelHitsNobodyElse: a cancel request that PostgreSQL has not taken
// when Spillway stops waiting for it may come at any time. It must not find
// somebody else's statement on that server.
func TestALateCancelHitsNobodyElse(t *testing.T) {
	s := server(t)
	d := startSlowDoor(t, s.Addr())
	p := pgtest.Serve(t, pgtest.SpillwayKind("", "transaction"), pgtest.PoolerConfig{Server: s, PoolSize: 1,
		Users: map[string]string{"postgres": "", "worker": ""},
		Set: map[string]any{"timeouts.cancel_wait": "1s", "servers.main.operator_slots": 0,
			"servers.main.url": strings.Replace(s.URL(pgtest.Login{}), s.Addr(), d.door.Addr().String(), 1)}})
	keeper := connect(t, s.URL(pgtest.Login{}))
	must(t, keeper, "SELECT pg_advisory_lock(1), pg_advisory_lock(2)")
	first, next := connect(t, p.URL(login("worker", "first"))), connect(t, p.URL(login("worker", "next")))
	waits := func(application string) {
		eventually(t, application+" waits", limit, func() bool {
			return s.Value(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = '"+application+"'") == "1"
		})
	}
	answered := make(chan error, 2)
	go func() { answered <- ask(t, first, "SELECT pg_advisory_xact_lock(1)") }()
	waits("first")
	if err := first.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err) // it returns when Spillway does not wait any longer
	}
	must(t, keeper, "SELECT pg_advisory_unlock(1)")
	if err := <-answered; err != nil {
		t.Fatalf("the first: %s", text(err))
	}
	go func() { answered <- ask(t, next, "SELECT pg_advisory_xact_lock(2)") }()
	waits("next")
	close(d.let)
	<-d.through
	must(t, keeper, "SELECT pg_advisory_unlock(2)")
	if err := <-answered; err != nil {
		t.Errorf("the next client of that server: %s", text(err))
	}
}
