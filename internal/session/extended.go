package session

import (
	"encoding/binary"

	"spillway/internal/statement"
	"spillway/internal/wire"
)

// parse maps a prepared statement: the full text is the key, the server knows
// it by our name and prepares it once.
func (c *Client) parse(s *Server, m *Msg, fx *Effects) Action {
	if c.Mode == Session {
		s.ops.push(op{kind: opParse, off: -1})
		return pass
	}
	if m.Size > c.Rules.MaxText {
		return c.tooLong(s, m, fx)
	}
	if !m.whole() {
		return Action{Do: More, N: m.Size}
	}
	name, rest, ok := wire.CString(m.body())
	if !ok {
		return c.malformed(m)
	}
	text, types, ok := wire.CString(rest)
	if !ok || len(types) < 2 {
		return c.malformed(m)
	}
	if c.Rules.MaxPrepared == 0 {
		return c.unmapped(s, text, fx)
	}
	st := c.unnamed
	if st == nil || st.Text != string(text) || st.types != string(types) {
		st = c.cache.hold(text, types)
	} else {
		st.refs++
	}
	if c.Rules.Refuse && st.effects&weighty != 0 {
		if act, refused := c.effects(s, st.effects, text, fx, true); refused {
			c.cache.drop(st)
			return act
		}
	}
	if len(name) == 0 {
		s.unnamed = st
		c.Counts.ServerParses++
		s.ops.push(c.swapUnnamed(st, op{kind: opParse, flags: flagBare, st: st, off: s.keep(m.Raw, m.Size)}))
		return pass
	}
	return c.parseNamed(s, name, st, fx)
}

// unmapped is Parse in a pool that keeps no statements: what it will do is
// weighed here, for its Bind tells nothing.
func (c *Client) unmapped(s *Server, text []byte, fx *Effects) Action {
	if e := s.scan(text); e&weighty != 0 {
		if act, refused := c.effects(s, e, text, fx, true); refused {
			return act
		}
	}
	s.ops.push(op{kind: opParse, off: -1})
	return pass
}

func (c *Client) parseNamed(s *Server, name []byte, st *Statement, fx *Effects) Action {
	if _, taken := c.stmts[string(name)]; taken {
		// The server looks at the text before it looks at the name.
		s.try(st, op{flags: flagSwallow}, fx)
		c.cache.drop(st)
		return s.fail(fx, &wire.Report{Severity: "ERROR", Code: "42P05",
			Message: `prepared statement "` + string(name) + `" already exists`})
	}
	cs := &named{name: string(name), st: st}
	if c.stmts == nil {
		c.stmts = make(map[string]*named)
	}
	c.stmts[cs.name] = cs
	if s.state == wire.Failed {
		// Only COMMIT and ROLLBACK may be prepared now: let the server judge.
		s.try(st, op{cs: cs}, fx)
		return drop
	}
	if s.table.has(st) {
		s.push(op{kind: opReply, bytes: wire.ParseComplete, cs: cs, off: -1}, fx)
		return drop
	}
	c.prepare(s, st, op{kind: opParse, st: st, cs: cs, flags: flagAdded}, fx)
	return drop
}

// tried is what a statement is called that is prepared only for the answer.
const tried = "spillway: tried"

// try has the server judge a text and forget it; p takes the answer.
func (s *Server) try(st *Statement, p op, fx *Effects) {
	p.kind = opParse
	s.send(p, fx, func(b []byte) []byte { return wire.AppendParse(b, tried, st.Text, stringBytes(st.types)) })
	s.send(op{kind: opClose, flags: flagSwallow}, fx,
		func(b []byte) []byte { return wire.AppendNamed(b, wire.Close, 'S', tried) })
}

// prepare sends st to the server, whose oldest statement makes room.
func (c *Client) prepare(s *Server, st *Statement, p op, fx *Effects) {
	for len(s.table.at) >= c.Rules.MaxPrepared {
		old := s.table.oldest()
		delete(s.table.at, old)
		s.send(op{kind: opClose, st: old, flags: flagSwallow | flagDropped}, fx,
			func(b []byte) []byte { return wire.AppendNamed(b, wire.Close, 'S', old.name) })
	}
	st.refs++
	s.table.add(st)
	c.Counts.ServerParses++
	s.send(p, fx, func(b []byte) []byte {
		return wire.AppendParse(b, st.name, st.Text, stringBytes(st.types))
	})
}

func (s *Server) send(p op, fx *Effects, build func([]byte) []byte) {
	from := len(fx.ToServer)
	fx.ToServer = build(fx.ToServer)
	p.off = s.keep(fx.ToServer[from:], len(fx.ToServer)-from)
	s.ops.push(p)
}

// fail makes the server itself fail, so that its transaction and the rest of
// the pipeline fare as they would directly, and puts rep in place of its error.
func (s *Server) fail(fx *Effects, rep *wire.Report) Action {
	fx.ToServer = wire.AppendNamed(fx.ToServer, wire.Describe, 'S', "spillway: refused")
	s.ops.push(op{kind: opDescribe, rep: rep, off: -1})
	return drop
}

func (c *Client) tooLong(s *Server, m *Msg, fx *Effects) Action {
	if len(m.Raw) < wire.HeaderSize+1 {
		return Action{Do: More, N: wire.HeaderSize + 1}
	}
	if m.Raw[wire.HeaderSize] != 0 {
		return s.fail(fx, &wire.Report{Severity: "ERROR", Code: "54000",
			Message: "prepared statement is too long for the pooler",
			Hint:    "Raise limits.max_prepared_text, use an unnamed statement, or a pool in session mode."})
	}
	// An unnamed one serves within its transaction; it is not kept beyond it.
	c.setUnnamed(nil)
	s.unnamed = nil
	c.taint(s, statement.Opaque)
	s.ops.push(op{kind: opParse, flags: flagBare, off: -1})
	return pass
}

func (c *Client) malformed(m *Msg) Action {
	return Action{Do: Abuse, Report: &wire.Report{Severity: "FATAL", Code: "08P01",
		Message: "invalid message format in a message of kind " + string(rune(m.Kind))}}
}

// bind puts the server's name for the statement in place of the client's.
func (c *Client) bind(s *Server, m *Msg, fx *Effects) Action {
	if !c.mapped() {
		s.ops.push(op{kind: opBind, off: -1})
		return pass
	}
	portal, rest, ok := wire.CString(m.body())
	var name []byte
	if ok {
		name, rest, ok = wire.CString(rest)
	}
	if !ok {
		return c.needNames(m)
	}
	if len(name) == 0 {
		c.ensureUnnamed(s, fx)
		s.bound = c.unnamed
		if c.unnamed != nil {
			c.weigh(s, c.unnamed, fx)
		}
		s.ops.push(op{kind: opBind, off: s.keep(m.Raw, m.Size)})
		return pass
	}
	cs, known := c.stmts[string(name)]
	if !known {
		s.ops.push(op{kind: opBind, off: s.keep(m.Raw, m.Size)})
		return pass // the server's own error names it
	}
	s.bound = cs.st
	c.ensure(s, cs.st, fx)
	c.weigh(s, cs.st, fx)
	taken := len(m.body()) - len(rest)
	head := len(fx.ToServer)
	fx.ToServer = append(fx.ToServer, wire.Bind, 0, 0, 0, 0)
	fx.ToServer = append(append(fx.ToServer, portal...), 0)
	fx.ToServer = append(append(fx.ToServer, cs.st.name...), 0)
	size := m.Size - wire.HeaderSize - taken + len(fx.ToServer) - head
	binary.BigEndian.PutUint32(fx.ToServer[head+1:], uint32(size-1))
	var flags opFlag
	if cs.st.effects&forgets != 0 {
		flags = flagForgets
	}
	s.ops.push(op{kind: opBind, flags: flags, st: cs.st, name: cs.name, off: s.keepBind(fx.ToServer[head:], m, wire.HeaderSize+taken)})
	return Action{Do: Replace, N: wire.HeaderSize + taken}
}

// weigh acts on what a statement about to run will leave behind.
func (c *Client) weigh(s *Server, st *Statement, fx *Effects) {
	if s.escapes || s.foreign {
		c.taint(s, statement.Opaque) // it was read as with standard strings
	}
	if st.effects&weighty != 0 {
		c.effects(s, st.effects&^statement.Begin, stringBytes(st.Text), fx, true)
	}
}

// keepBind starts keeping the unit at the first Bind that may fail with 0A000.
func (s *Server) keepBind(head []byte, m *Msg, n int) int32 {
	if !m.whole() || s.state != wire.Idle || s.heals > 0 || len(s.unit)+len(head)+m.Size > maxUnit {
		s.heals = 1
		return -1
	}
	at := len(s.unit)
	s.unit = append(append(s.unit, head...), m.Raw[n:m.Size]...)
	return int32(at)
}

func (c *Client) needNames(m *Msg) Action {
	if m.whole() || len(m.Raw) >= maxNames {
		return c.malformed(m)
	}
	return Action{Do: More, N: min(m.Size, max(2*len(m.Raw), 128), maxNames)}
}

// ensure prepares st on the server when it is not there.
func (c *Client) ensure(s *Server, st *Statement, fx *Effects) {
	if !s.table.has(st) {
		c.prepare(s, st, op{kind: opParse, st: st, flags: flagSwallow | flagAdded}, fx)
	}
}

// ensureUnnamed makes the server's unnamed statement the client's.
func (c *Client) ensureUnnamed(s *Server, fx *Effects) {
	if c.unnamed == s.unnamed {
		return
	}
	if c.unnamed == nil { // another client's: it must not be there
		s.unnamed = nil
		s.send(op{kind: opClose, flags: flagSwallow | flagBare}, fx,
			func(b []byte) []byte { return wire.AppendNamed(b, wire.Close, 'S', "") })
		return
	}
	st := c.unnamed
	s.unnamed = st
	c.Counts.ServerParses++
	s.send(op{kind: opParse, st: st, flags: flagSwallow | flagBare}, fx,
		func(b []byte) []byte { return wire.AppendParse(b, "", st.Text, stringBytes(st.types)) })
}

func (c *Client) describe(s *Server, m *Msg, fx *Effects) Action {
	if !c.mapped() {
		s.ops.push(op{kind: opDescribe, off: -1})
		return pass
	}
	what, name, act := c.target(m)
	if act.Do != 0 {
		return act
	}
	if what != 'S' {
		return s.extended(op{kind: opDescribe}, m)
	}
	if len(name) == 0 {
		c.ensureUnnamed(s, fx)
		return s.extended(op{kind: opDescribe}, m)
	}
	cs, known := c.stmts[string(name)]
	if !known {
		return s.extended(op{kind: opDescribe}, m)
	}
	c.ensure(s, cs.st, fx)
	s.send(op{kind: opDescribe, st: cs.st, name: cs.name}, fx,
		func(b []byte) []byte { return wire.AppendNamed(b, wire.Describe, 'S', cs.st.name) })
	return drop
}

// close forgets the client's name; the server keeps the statement for others.
func (c *Client) close(s *Server, m *Msg, fx *Effects) Action {
	if !c.mapped() {
		s.ops.push(op{kind: opClose, off: -1})
		return pass
	}
	what, name, act := c.target(m)
	if act.Do != 0 {
		return act
	}
	if what == 'S' && len(name) == 0 {
		s.unnamed = nil
		return s.extended(c.swapUnnamed(nil, op{kind: opClose, flags: flagBare}), m)
	}
	if what != 'S' {
		return s.extended(op{kind: opClose}, m)
	}
	cs := c.stmts[string(name)]
	if cs == nil {
		return s.extended(op{kind: opClose}, m) // also a name made by SQL PREPARE while pinned
	}
	delete(c.stmts, cs.name)
	s.push(op{kind: opReply, bytes: wire.CloseComplete, cs: cs, off: -1}, fx)
	return drop
}

// target reads the kind and name of a Describe or Close.
func (c *Client) target(m *Msg) (what byte, name []byte, act Action) {
	if !m.whole() {
		if m.Size > maxNames {
			return 0, nil, c.malformed(m)
		}
		return 0, nil, Action{Do: More, N: m.Size}
	}
	body := m.body()
	if len(body) < 2 {
		return 0, nil, c.malformed(m)
	}
	name, _, ok := wire.CString(body[1:])
	if !ok {
		return 0, nil, c.malformed(m)
	}
	return body[0], name, Action{}
}
