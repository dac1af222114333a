package session

import (
	"spillway/internal/statement"
	"spillway/internal/wire"
)

// Rules are how sessions of one policy behave. Shared and immutable.
type Rules struct {
	Refuse         bool     // refuse what cannot be shared, instead of pinning
	TrustFunctions bool     // functions, DO and CALL leave nothing behind
	MaxPrepared    int      // statements kept per server; 0 = none are mapped
	MaxText        int      // bytes of one prepared statement's message
	Track          []string // settings followed by asking, lower case
	PgBouncer      bool     // PgBouncer's texts
}

// Mode says when the lease of a server ends.
type Mode uint8

// Modes.
const (
	Session Mode = iota
	Transaction
	Statement1 // one statement: transactions are refused
)

// Client is the client half of a session.
type Client struct {
	Rules    *Rules
	Settings Settings // what the client wants, and last had
	Startup  Settings // what it asked for at login: RESET goes back to it
	Mode     Mode

	cache   *Cache
	stmts   map[string]*named
	unnamed *Statement
	pinned  statement.Effect
	scan    *statement.Scanner // a text that arrives in pieces
	Counts  Counts
}

// Counts of what the client sent since they were last taken.
type Counts struct {
	Queries, Parses, Binds, ServerParses uint32
}

// NewClient returns a client after login.
func NewClient(cache *Cache, rules *Rules, mode Mode, s Settings) *Client {
	return &Client{Rules: rules, Mode: mode, Settings: s, Startup: s, cache: cache}
}

// Msg is one message of a client. Raw is what is there of it, header included;
// Size is its whole size.
type Msg struct {
	Kind byte
	Size int
	Raw  []byte
}

func (m *Msg) whole() bool { return len(m.Raw) >= m.Size }

func (m *Msg) body() []byte { return m.Raw[wire.HeaderSize:min(len(m.Raw), m.Size)] }

// Effects are bytes the core makes. The caller owns the buffers, sends them
// ahead of the message (ToServer) or at once (ToClient) and empties them.
type Effects struct {
	ToServer, ToClient []byte
}

// Do says what becomes of a client's message.
type Do uint8

// Verdicts.
const (
	Pass    Do = iota + 1 // forward it as it is, after Effects.ToServer
	Replace               // as Pass, but its first Action.N bytes are replaced by what was appended
	Drop                  // it is dealt with
	More                  // nothing yet: Action.N bytes of it must be in hand
	Lease                 // nothing yet: the client needs a server
	Hold                  // nothing yet: it depends on answers the server still owes
	Quit                  // the client said goodbye
	Abuse                 // the client broke the protocol; Action.Report says how
)

// Action is a verdict with its operand.
type Action struct {
	Do     Do
	N      int
	Report *wire.Report
}

var pass = Action{Do: Pass}
var drop = Action{Do: Drop}

// maxNames bounds what must be in hand to see a message's names.
const maxNames = 4096

// Mapped tells whether prepared statements are mapped for this client.
func (c *Client) mapped() bool { return c.Mode != Session && c.Rules.MaxPrepared > 0 }

// Pinned tells why the server must stay with the client; "" when it need not.
func (c *Client) Pinned() string {
	if c.pinned == 0 {
		return ""
	}
	return c.pinned.String()
}

// IsPinned tells whether the server must stay.
func (c *Client) IsPinned() bool { return c.pinned != 0 }

// Prepared is how many statements the client holds.
func (c *Client) Prepared() int { return len(c.stmts) }

// Close gives back what the client holds. Its server, if any, must be told with
// Server.Orphan before.
func (c *Client) Close() {
	c.forgetStatements()
}

func (c *Client) forgetStatements() {
	for _, cs := range c.stmts {
		c.cache.drop(cs.st)
	}
	clear(c.stmts)
	c.setUnnamed(nil)
}

// restore puts back an entry whose Close was ignored by the server.
func (c *Client) restore(cs *named) {
	if _, taken := c.stmts[cs.name]; taken {
		c.cache.drop(cs.st)
		return
	}
	c.stmts[cs.name] = cs
}

// revoke takes back an entry whose Parse failed or was ignored.
func (c *Client) revoke(cs *named) {
	if c.stmts[cs.name] == cs {
		delete(c.stmts, cs.name)
		c.cache.drop(cs.st)
	}
}

// swapUnnamed makes st the unnamed statement once p is answered; p keeps what
// was there before, in case it is not.
func (c *Client) swapUnnamed(st *Statement, p op) op {
	if c.unnamed == nil && st == nil {
		return p
	}
	p.flags |= flagUnnamed
	p.prev, c.unnamed = c.unnamed, st
	return p
}

func (c *Client) setUnnamed(st *Statement) {
	if c.unnamed != nil {
		c.cache.drop(c.unnamed)
	}
	c.unnamed = st
}

// Front takes one message of the client; s is the server it has, nil when it
// has none.
func (c *Client) Front(s *Server, m Msg, fx *Effects) Action {
	if s == nil {
		if act, done := c.unleased(&m, fx); done {
			return act
		}
		if !m.whole() && m.Size <= maxText && c.Mode != Session {
			// A client that stops in the middle of a message must not hold a server.
			return Action{Do: More, N: m.Size}
		}
		return Action{Do: Lease}
	}
	if s.skipping && m.Kind != wire.Sync && m.Kind != wire.Terminate {
		return drop // the server would ignore it
	}
	if c.unsure(s, m.Kind) {
		return Action{Do: Hold}
	}
	switch m.Kind {
	case wire.Query:
		return c.query(s, &m, fx)
	case wire.Parse:
		c.Counts.Parses++
		return c.parse(s, &m, fx)
	case wire.Bind:
		c.Counts.Binds++
		return c.bind(s, &m, fx)
	case wire.Describe:
		return c.describe(s, &m, fx)
	case wire.Close:
		return c.close(s, &m, fx)
	case wire.Execute:
		c.Counts.Queries++
		return s.extended(op{kind: opExecute}, &m)
	case wire.Sync:
		if s.copyIn {
			return pass // ignored by the server
		}
		s.skipping = false // what follows is answered again
		return s.extended(op{kind: opSync}, &m)
	case wire.Flush:
		return pass
	case wire.FunctionCall:
		s.ops.push(op{kind: opQuery, flags: flagCall})
		return pass
	}
	return c.copying(s, &m)
}

// unsure tells that what becomes of a message depends on an earlier unit whose
// answer is still out: had it failed, statements in the books would not exist,
// and a Parse that is answered from the books might have to fail.
func (c *Client) unsure(s *Server, kind byte) bool {
	if c.Mode == Session || s.ops.empty() {
		return false
	}
	switch kind {
	case wire.Parse:
		return !s.copyIn && s.ops.behind()
	case wire.Bind, wire.Describe, wire.Close, wire.Query:
	default:
		return false
	}
	if s.ops.open {
		return false // within one unit an error skips the rest
	}
	for _, p := range s.ops.list[s.ops.head:] {
		if p.cs != nil || p.kind == opParse || p.kind == opClose || p.flags&flagForgets != 0 {
			return true
		}
	}
	return false
}

// unleased answers what needs no server.
func (c *Client) unleased(m *Msg, fx *Effects) (Action, bool) {
	switch m.Kind {
	case wire.Terminate:
		return Action{Do: Quit}, true
	case wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Flush:
		return drop, true // late: the COPY they belong to is over
	case wire.Sync:
		if m.Size != wire.HeaderSize { // as PostgreSQL says of it
			fx.ToClient = wire.AppendReport(fx.ToClient, wire.ErrorResponse, wire.Report{Severity: "ERROR", Code: "08P01", Message: "invalid message format"})
		}
		fx.ToClient = wire.AppendReady(fx.ToClient, wire.Idle)
		return drop, true
	case wire.Query, wire.Parse, wire.Bind, wire.Describe, wire.Close, wire.Execute, wire.FunctionCall:
		return Action{}, false
	}
	return c.abuse(m), true
}

func (c *Client) abuse(m *Msg) Action {
	return Action{Do: Abuse, Report: &wire.Report{Severity: "FATAL", Code: "08P01",
		Message: "invalid frontend message type " + itoa(int(m.Kind))}}
}

func itoa(n int) string {
	var b [4]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}

func (c *Client) copying(s *Server, m *Msg) Action {
	switch m.Kind {
	case wire.CopyData:
		if s.ops.empty() && !s.copyIn {
			return drop
		}
		return pass
	case wire.CopyDone, wire.CopyFail:
		switch {
		case s.copyIn:
			s.copyIn = false
		case s.ops.empty():
			return drop
		default:
			s.ops.push(op{kind: opCopyEnd})
		}
		return pass
	case wire.Terminate:
		return Action{Do: Quit}
	}
	return c.abuse(m)
}

// extended notes an extended-protocol message that goes as it is.
func (s *Server) extended(p op, m *Msg) Action {
	p.off = s.keep(m.Raw, m.Size)
	s.ops.push(p)
	return pass
}

// maxUnit bounds what is kept of a unit to send it again.
const maxUnit = 16 << 10

// keep holds a copy of a message of a unit that may have to be sent again.
// Nothing is kept before the first Bind of a named statement.
func (s *Server) keep(raw []byte, size int) int32 {
	if len(s.unit) == 0 || len(raw) < size || len(s.unit)+size > maxUnit {
		if len(s.unit) != 0 {
			s.heals = 1 // incomplete: not to be healed
		}
		return -1
	}
	at := len(s.unit)
	s.unit = append(s.unit, raw[:size]...)
	return int32(at)
}
