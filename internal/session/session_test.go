package session

import (
	"strings"
	"testing"

	"spillway/internal/wire"
)

// bench is a client with a server, as the proxy has them.
type bench struct {
	t     testing.TB
	cache *Cache
	c     *Client
	s     *Server
	fx    Effects
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, cache: NewCache("sw")}
	b.c = NewClient(b.cache, &Rules{MaxPrepared: 2, MaxText: 1 << 20}, Transaction, Settings{})
	b.s = NewServer(b.cache, Settings{})
	b.attach()
	return b
}

func (b *bench) attach() {
	if !b.s.Attach(b.c, &b.fx) {
		b.t.Fatalf("the server needs %q first", b.fx.ToServer)
	}
}

// say gives the core a message and returns what goes to the server.
func (b *bench) say(raw []byte) string {
	b.t.Helper()
	b.fx.ToServer, b.fx.ToClient = b.fx.ToServer[:0], b.fx.ToClient[:0]
	act := b.c.Front(b.s, Msg{Kind: raw[0], Size: len(raw), Raw: raw}, &b.fx)
	switch act.Do {
	case Pass:
		return string(b.fx.ToServer) + string(raw)
	case Replace:
		return string(b.fx.ToServer) + string(raw[act.N:])
	case Drop:
		return string(b.fx.ToServer)
	}
	b.t.Fatalf("%q is answered with %d", raw, act.Do)
	return ""
}

// hear gives the core an answer and reports whether it goes to the client.
func (b *bench) hear(raw []byte) (bool, Event) {
	b.fx.ToServer, b.fx.ToClient = b.fx.ToServer[:0], b.fx.ToClient[:0]
	return b.s.Back(raw[0], raw[wire.HeaderSize:], &b.fx)
}

func (b *bench) hearAll(messages ...[]byte) {
	b.t.Helper()
	for _, m := range messages {
		if _, ev := b.hear(m); ev&EventBroken != 0 {
			b.t.Fatalf("%q breaks the protocol", m)
		}
	}
}

var (
	ready    = wire.AppendReady(nil, wire.Idle)
	parsed   = wire.AppendEmpty(nil, wire.ParseComplete)
	bound    = wire.AppendEmpty(nil, wire.BindComplete)
	complete = wire.AppendCommandComplete(nil, "SELECT 1")
	syncMsg  = wire.AppendEmpty(nil, wire.Sync)
	execute  = []byte{wire.Execute, 0, 0, 0, 9, 0, 0, 0, 0, 0}
	failure  = wire.AppendReport(nil, wire.ErrorResponse, wire.Report{Severity: "ERROR", Code: "42601", Message: "no"})
)

func bind(name string) []byte {
	b := append([]byte{wire.Bind, 0, 0, 0, byte(4 + 1 + len(name) + 1 + 6), 0}, name...)
	return append(b, 0, 0, 0, 0, 0, 0, 0)
}

// TestReleaseRule is the one invariant: a server is clean only when it said
// idle, owes nothing, and nothing sent to it waits for its Sync.
func TestReleaseRule(t *testing.T) {
	b := newBench(t)
	if !b.s.Clean() {
		t.Error("a fresh server is not clean")
	}
	b.say(wire.AppendQuery(nil, "select 1"))
	if b.s.Clean() {
		t.Error("clean with a query owed")
	}
	b.hearAll(complete, ready)
	if !b.s.Clean() {
		t.Error("not clean after its answer")
	}
	b.say(wire.AppendParse(nil, "", "insert into t values (1)", nil))
	b.say(bind(""))
	b.say(execute)
	b.hearAll(parsed, bound, complete)
	if b.s.Clean() || b.s.Quiet() {
		t.Error("clean although no Sync has ended the unit")
	}
	b.say(syncMsg)
	b.hearAll(ready)
	if !b.s.Clean() {
		t.Error("not clean after Sync")
	}
	b.say(wire.AppendQuery(nil, "begin"))
	b.say(wire.AppendQuery(nil, "select 1"))
	b.hearAll(complete, ready)
	if b.s.Clean() {
		t.Error("ReadyForQuery alone was trusted with another query in flight")
	}
	b.hearAll(complete, wire.AppendReady(nil, wire.InTransaction))
	if b.s.Clean() {
		t.Error("clean inside a transaction")
	}
}

func TestStatementIsPreparedOncePerServer(t *testing.T) {
	b := newBench(t)
	if got := b.say(wire.AppendParse(nil, "mine", "select 1", nil)); got != string(wire.AppendParse(nil, "sw1", "select 1", nil)) {
		t.Fatalf("to the server: %q", got)
	}
	b.say(syncMsg)
	b.hearAll(parsed, ready)
	second := NewClient(b.cache, b.c.Rules, Transaction, Settings{})
	b.s.Detach()
	first := b.c
	b.c = second
	b.attach()
	if got := b.say(wire.AppendParse(nil, "other", "select 1", nil)); got != "" || string(b.fx.ToClient) != string(parsed) {
		t.Errorf("a second client: server %q, client %q", got, b.fx.ToClient)
	}
	if got := b.say(bind("other")); got != string(bind("sw1")) {
		t.Errorf("bind reads %q", got)
	}
	b.say(syncMsg)
	b.hearAll(bound, ready)
	first.Close()
	second.Close()
	b.s.Forget()
	if b.cache.Len() != 0 {
		t.Errorf("%d statements are still held", b.cache.Len())
	}
}

func TestErrorUndoesWhatWasSkipped(t *testing.T) {
	b := newBench(t)
	b.say(wire.AppendParse(nil, "a", "selec", nil))
	b.say(wire.AppendParse(nil, "b", "select 2", nil))
	b.say(syncMsg)
	b.hearAll(failure, ready)
	if b.c.Prepared() != 0 || b.s.Prepared() != 0 {
		t.Errorf("client holds %d, server %d", b.c.Prepared(), b.s.Prepared())
	}
	b.s.Forget()
	b.c.Close()
	if b.cache.Len() != 0 {
		t.Errorf("%d statements are still held", b.cache.Len())
	}
}

func TestFullTableMakesRoom(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a", "b", "c"} {
		b.say(wire.AppendParse(nil, name, "select '"+name+"'", nil))
		b.say(syncMsg)
		if name == "c" {
			b.hearAll(wire.AppendEmpty(nil, wire.CloseComplete))
		}
		b.hearAll(parsed, ready)
	}
	if b.s.Prepared() != 2 || b.c.Prepared() != 3 {
		t.Errorf("server holds %d, client %d", b.s.Prepared(), b.c.Prepared())
	}
}

func TestAbandonedUnitIsNotCommitted(t *testing.T) {
	b := newBench(t)
	b.say(wire.AppendParse(nil, "", "insert into t values (1)", nil))
	b.say(bind(""))
	b.say(execute)
	b.hearAll(parsed, bound, complete)
	b.fx.ToServer = b.fx.ToServer[:0]
	b.s.Abandon(&b.fx)
	if len(b.fx.ToServer) == 0 || b.fx.ToServer[0] != wire.Describe {
		t.Fatalf("to the server: %q, want a failure before the Sync", b.fx.ToServer)
	}
	if forward, _ := b.hear(failure); forward {
		t.Error("an answer for nobody is forwarded")
	}
	b.hearAll(ready)
	if !b.s.Clean() {
		t.Error("not clean after the rollback")
	}
}

// TestADeadClientsStateIsReset: what a client left on its server, seen or still
// to be asked for, is reset before another has the server.
func TestADeadClientsStateIsReset(t *testing.T) {
	for _, text := range []string{"LISTEN x", "SET work_mem = '1MB'"} {
		b := newBench(t)
		b.c.Rules.Track = []string{"work_mem"}
		b.say(wire.AppendQuery(nil, text))
		b.hearAll(wire.AppendCommandComplete(nil, "SET"), ready)
		b.fx.ToServer = b.fx.ToServer[:0]
		b.s.Abandon(&b.fx)
		b.s.Detach()
		next := NewClient(b.cache, b.c.Rules, Transaction, Settings{})
		if b.s.Attach(next, &b.fx) || !strings.Contains(string(b.fx.ToServer), "RESET ALL;UNLISTEN *") {
			t.Errorf("after %s the next client's server is sent %q first", text, b.fx.ToServer)
		}
	}
}

func TestPlainTrafficDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	query := wire.AppendQuery(nil, "SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	unit := [][]byte{wire.AppendParse(nil, "", "select $1", nil), bind(""), execute, syncMsg}
	named := [][]byte{bind("n"), execute, syncMsg}
	b.say(wire.AppendParse(nil, "n", "select 3", nil))
	b.say(syncMsg)
	b.hearAll(parsed, ready)
	for name, round := range map[string]func(){
		"simple": func() { b.say(query); b.hear(complete); b.hear(ready) },
		"extended": func() {
			for _, m := range unit {
				b.say(m)
			}
			b.hear(parsed)
			b.hear(bound)
			b.hear(complete)
			b.hear(ready)
		},
		"prepared": func() {
			for _, m := range named {
				b.say(m)
			}
			b.hear(bound)
			b.hear(complete)
			b.hear(ready)
		},
	} {
		round()
		// say builds a string for the caller, which these rounds throw away: what
		// is counted is the core, so the bytes are compared with a round that
		// only builds them.
		core := testing.AllocsPerRun(100, func() { b.silent(query, unit, named, name) })
		if core != 0 {
			t.Errorf("%s: %v allocations", name, core)
		}
	}
}

// silent is a round without the test's own strings.
func (b *bench) silent(query []byte, unit, named [][]byte, name string) {
	front := func(raw []byte) {
		b.fx.ToServer, b.fx.ToClient = b.fx.ToServer[:0], b.fx.ToClient[:0]
		b.c.Front(b.s, Msg{Kind: raw[0], Size: len(raw), Raw: raw}, &b.fx)
	}
	switch name {
	case "simple":
		front(query)
	case "extended":
		for _, m := range unit {
			front(m)
		}
		b.hear(parsed)
		b.hear(bound)
	case "prepared":
		for _, m := range named {
			front(m)
		}
		b.hear(bound)
	}
	b.hear(complete)
	b.hear(ready)
}

// FuzzSession gives the core any bytes from both sides: it must neither panic
// nor call a server clean that owes something.
func FuzzSession(f *testing.F) {
	f.Add(append(wire.AppendQuery(nil, "select 1"), syncMsg...), append(complete, ready...))
	f.Add(append(append(wire.AppendParse(nil, "a", "x", nil), bind("a")...), syncMsg...), append(failure, ready...))
	f.Add([]byte{}, []byte{})
	f.Add([]byte{'P', 0, 0, 0, 5, 0}, []byte{'Z', 0, 0, 0, 4})
	f.Fuzz(func(t *testing.T, client, server []byte) {
		b := newBench(t)
		for len(client) >= wire.HeaderSize {
			_, size, err := wire.Frame(client, 1<<16)
			if err != nil {
				break
			}
			n := min(size, len(client))
			b.fx.ToServer, b.fx.ToClient = b.fx.ToServer[:0], b.fx.ToClient[:0]
			act := b.c.Front(b.s, Msg{Kind: client[0], Size: size, Raw: client[:n]}, &b.fx)
			if act.Do == More || act.Do == Abuse || act.Do == Quit || act.Do == Hold {
				break
			}
			client = client[n:]
		}
		for len(server) >= wire.HeaderSize {
			_, size, err := wire.Frame(server, 1<<16)
			if err != nil || size > len(server) {
				break
			}
			if _, ev := b.hear(server[:size]); ev&EventBroken != 0 {
				break
			}
			if b.s.Clean() && !b.s.ops.empty() {
				t.Fatal("clean with answers owed")
			}
			server = server[size:]
		}
		b.s.Abandon(&b.fx)
		b.c.Close()
		b.s.Forget()
	})
}
