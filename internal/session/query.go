package session

import (
	"strings"
	"unsafe"

	"spillway/internal/statement"
	"spillway/internal/wire"
)

// unshared are the effects that leave state only their session may see.
const unshared = statement.Listen | statement.Advisory | statement.Temp | statement.HoldCursor |
	statement.Load | statement.SetRole | statement.Prepare | statement.Sticky

// weighty are the effects that need a second look.
const weighty = unshared | statement.Set | statement.UnknownFunction | statement.Opaque |
	statement.Execute | statement.Deallocate | statement.Begin

// maxText is how much of a simple query is waited for, so that it can be
// refused or rewritten; a longer one streams and is read on its way.
const maxText = 64 << 10

// query takes a simple query. Its text is read as it arrives; what it leaves
// behind is known before its answer can come.
func (c *Client) query(s *Server, m *Msg, fx *Effects) Action {
	c.Counts.Queries++
	s.bound = nil
	if c.Mode == Session {
		s.ops.push(op{kind: opQuery})
		return pass
	}
	if !m.whole() {
		if m.Size <= maxText {
			c.Counts.Queries--
			return Action{Do: More, N: m.Size}
		}
		return c.longQuery(s, m)
	}
	text := m.body()
	e := s.scan(text)
	if e&statement.Set != 0 && e&statement.Multi == 0 {
		if sql := c.resets(s, text); sql != "" {
			fx.ToServer = wire.AppendQuery(fx.ToServer, sql)
			c.startQuery(s)
			s.ops.list[len(s.ops.list)-1].flags |= flagQuiet
			return drop
		}
	}
	if act, refused := c.effects(s, e, text, fx, false); refused {
		return act
	}
	c.startQuery(s)
	if e&forgets != 0 {
		s.ops.list[len(s.ops.list)-1].flags |= flagForgets
	}
	return pass
}

// forgets are the effects that leave no prepared statement.
const forgets = statement.DiscardAll | statement.DeallocateAll

// resets makes RESET go back to what the client asked for at login, as it
// would directly; "" when the server's own RESET does that.
func (c *Client) resets(s *Server, text []byte) string {
	set, ok := statement.ParseSet(text, !s.escapes)
	if !ok || !set.Reset || c.Startup == (Settings{}) {
		return ""
	}
	var sql strings.Builder
	v := c.Startup.values()
	all := strings.EqualFold(set.Name, "all")
	for i, name := range reported {
		if (all || strings.EqualFold(set.Name, name)) && (v.slots[i] != "" || name == "application_name") {
			setConfig(&sql, name, v.slots[i])
		}
	}
	for _, p := range pairs(v.extra) {
		if all || strings.EqualFold(set.Name, p[0]) {
			setConfig(&sql, p[0], p[1])
		}
	}
	if sql.Len() == 0 {
		return ""
	}
	s.ask = s.ask || len(c.Rules.Track) > 0
	return "RESET " + quoteReset(set.Name) + ";SELECT " + sql.String()
}

func quoteReset(name string) string {
	if strings.EqualFold(name, "all") {
		return "ALL"
	}
	return quoteIdent(strings.ToLower(name))
}

func (c *Client) startQuery(s *Server) {
	s.unnamed = nil // a simple query drops the unnamed statement
	s.ops.push(c.swapUnnamed(nil, op{kind: opQuery}))
}

// longQuery streams a text that is not all there. It can no longer be refused
// when its effects are known: they pin.
func (c *Client) longQuery(s *Server, m *Msg) Action {
	c.scan = new(statement.Scanner)
	c.scan.Reset(!s.escapes)
	c.scan.Feed(m.body())
	c.startQuery(s)
	return pass
}

// Continue takes a further piece of a query whose beginning Front passed on;
// last says that it is the end.
func (c *Client) Continue(s *Server, piece []byte, last bool) {
	if c.scan == nil {
		return
	}
	c.scan.Feed(piece)
	if !last {
		return
	}
	e := c.scan.Finish()
	c.scan = nil
	c.taint(s, e&^statement.Set)
	if e&statement.Set != 0 {
		c.pinned |= statement.Set
	}
	c.pinned |= e & unshared
}

// effects acts on what a text will do. In a Parse it only looks: the text may
// be executed in a later transaction, which asks again by the statement.
func (c *Client) effects(s *Server, e statement.Effect, text []byte, fx *Effects, extended bool) (Action, bool) {
	if e&weighty == 0 {
		return Action{}, false
	}
	if c.Mode == Statement1 && e&statement.Begin != 0 {
		return c.refuse(s, fx, extended, &wire.Report{Severity: "ERROR", Code: "0A000",
			Message: "transaction blocks are not allowed in a pool of mode statement",
			Hint:    "Set pool_mode: transaction for this database or user."}), true
	}
	why := e & unshared
	if e&statement.Set != 0 && !c.follows(s, e, text) {
		why |= statement.Set
	}
	if why != 0 && c.Rules.Refuse {
		return c.refuse(s, fx, extended, &wire.Report{Severity: "ERROR", Code: "0A000",
			Message: why.String() + " is not allowed in a pool of mode transaction",
			Detail:  "It makes session state that the next client of the server would see.",
			Hint:    "Use a pool of mode session, or set session.on_state: pin."}), true
	}
	if !extended && e&(statement.Deallocate|statement.Execute) != 0 {
		if act, done := c.sqlPrepared(s, e, text, fx); done {
			return act, true
		}
	}
	c.pinned |= why
	c.taint(s, e)
	return Action{}, false
}

// taint marks a server that may hold state nobody can see.
func (c *Client) taint(s *Server, e statement.Effect) {
	s.sticky = s.sticky || e&statement.Sticky != 0
	if !c.Rules.TrustFunctions && e&(statement.UnknownFunction|statement.Opaque) != 0 {
		s.dirty, s.dirtyBy = true, c
	}
}

// follows tells whether every setting this text changes is reported by the
// server, or asked for before the server's release.
func (c *Client) follows(s *Server, e statement.Effect, text []byte) bool {
	set, ok := statement.ParseSet(text, !s.escapes)
	if !ok || e&statement.Multi != 0 {
		return false
	}
	if set.Reset && strings.EqualFold(set.Name, "all") {
		s.forgot, s.ask = forgetsNow, len(c.Rules.Track) > 0
		return true
	}
	if Reported(set.Name) && s.Settings.Get(set.Name) != "" {
		return true
	}
	for _, name := range c.Rules.Track {
		if strings.EqualFold(name, set.Name) {
			s.ask = true
			return true
		}
	}
	return false
}

func (c *Client) refuse(s *Server, fx *Effects, extended bool, rep *wire.Report) Action {
	if extended {
		return s.fail(fx, rep)
	}
	// The server must fail as well: its transaction fares as it would directly.
	fx.ToServer = wire.AppendQuery(fx.ToServer, "spillway: refused")
	s.unnamed = nil
	s.ops.push(c.swapUnnamed(nil, op{kind: opQuery, rep: rep}))
	return drop
}

// sqlPrepared lets EXECUTE and DEALLOCATE at SQL level reach statements that
// were prepared by the protocol, which the server knows by another name.
func (c *Client) sqlPrepared(s *Server, e statement.Effect, text []byte, fx *Effects) (Action, bool) {
	if e&statement.Multi != 0 {
		return Action{}, false
	}
	if ex, ok := statement.ParseExecute(text, !s.escapes); ok && e&statement.Execute != 0 {
		cs := c.stmts[ex.Name]
		if cs == nil {
			return Action{}, false
		}
		if !s.table.has(cs.st) {
			c.prepare(s, cs.st, op{kind: opParse, st: cs.st, flags: flagSwallow | flagSetup | flagAdded}, fx)
			fx.ToServer = wire.AppendEmpty(fx.ToServer, wire.Sync)
			s.ops.push(op{kind: opSync, flags: flagSwallow, off: -1})
		}
		return c.resend(s, text, ex.NameSpan, cs.st.name, fx), true
	}
	if de, ok := statement.ParseDeallocate(text, !s.escapes); ok && !de.All {
		cs := c.stmts[de.Name]
		if cs == nil {
			return Action{}, false
		}
		delete(c.stmts, cs.name)
		c.cache.drop(cs.st)
		// Any statement with this tag and no effect will do.
		fx.ToServer = wire.AppendQuery(fx.ToServer, "PREPARE spillway_none AS SELECT 1")
		s.ops.push(op{kind: opQuery, flags: flagSwallow})
		fx.ToServer = wire.AppendQuery(fx.ToServer, "DEALLOCATE spillway_none")
		c.startQuery(s)
		return drop, true
	}
	return Action{}, false
}

// resend sends a query with the name at a span replaced by a quoted one.
func (c *Client) resend(s *Server, text []byte, at statement.Span, name string, fx *Effects) Action {
	end := len(text)
	if end > 0 && text[end-1] == 0 {
		end--
	}
	fx.ToServer = wire.AppendQuery(fx.ToServer, string(text[:at.Start])+`"`+name+`"`+string(text[at.End:end]))
	c.startQuery(s)
	return drop
}

// stringBytes views a string as bytes that are only read.
func stringBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// scan reads a text as the server will.
func (s *Server) scan(text []byte) statement.Effect {
	if s.foreign {
		return statement.Opaque // its encoding hides quotes
	}
	return statement.Scan(text, !s.escapes)
}
