package session

import (
	"encoding/binary"
	"strings"

	"spillway/internal/wire"
)

// resetState undoes what any statement can leave in a session but prepared
// statements, which are kept for their plans. In the order of DISCARD ALL.
const resetState = "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;UNLISTEN *;CLOSE ALL;" +
	"SELECT pg_catalog.pg_advisory_unlock_all();DISCARD TEMP;DISCARD SEQUENCES;"

// Attach gives the server's lease to c. It returns false when the server must
// first be prepared: the caller sends fx and waits for EventSetup before it
// forwards anything of the client.
func (s *Server) Attach(c *Client, fx *Effects) (ready bool) {
	s.owner = c
	s.Failure = wire.Report{}
	s.forgot = 0 // our own DISCARD ALL is nobody's wish
	s.cleaning = false
	if c.Mode == Session {
		return true
	}
	var sql string
	want := c.Settings
	if s.dirty && s.dirtyBy != c {
		// RESET ALL makes every setting unknown until the server reports it.
		sql = resetState + set(want)
		s.cleaning = true
	} else if s.Settings != want {
		sql = change(s.Settings, want)
	}
	if sql == "" {
		return true
	}
	fx.ToServer = wire.AppendQuery(fx.ToServer, sql)
	s.unnamed = nil
	s.extra = want.values().extra
	s.ops.push(op{kind: opQuery, flags: flagSwallow | flagSetup})
	return false
}

// set sets everything in want, whatever the server has.
func set(want Settings) string {
	v := want.values()
	var b strings.Builder
	for i, name := range reported {
		if v.slots[i] != "" || name == "application_name" {
			setConfig(&b, name, v.slots[i])
		}
	}
	for _, p := range pairs(v.extra) {
		setConfig(&b, p[0], p[1])
	}
	return "SELECT " + b.String()
}

func (s *Server) setupEnds() Event {
	if s.Failure.Code != "" {
		return EventSetupFailed
	}
	if s.cleaning {
		s.dirty, s.dirtyBy, s.cleaning = false, nil, false
	}
	s.Settings = s.Settings.withExtras(s.extra) // also when the client has left meanwhile
	if s.owner != nil {
		// What the server reports is the client's wish in canonical spelling.
		s.owner.Settings = s.Settings
	}
	return EventSetup
}

// Settle is called when the server is Clean and its client not pinned: it
// returns false when something must be asked of the server before release.
func (s *Server) Settle(fx *Effects) (done bool) {
	c := s.owner
	if s.ask && c != nil && len(c.Rules.Track) > 0 {
		s.ask, s.asking, s.extra = false, true, ""
		fx.ToServer = wire.AppendQuery(fx.ToServer, askSQL(c.Rules.Track))
		s.ops.push(op{kind: opQuery, flags: flagSwallow | flagAsk})
		return false
	}
	if c == nil {
		return true
	}
	switch s.forgot {
	case 0:
		c.Settings = s.Settings
	case forgetsDone:
		c.Settings = s.Settings.changedSince(s.fresh, c.Startup)
	default:
		c.Settings = c.Startup
	}
	s.forgot = 0
	return true
}

// askSQL lists those settings that were changed in the session.
func askSQL(track []string) string {
	var b strings.Builder
	b.WriteString("SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings WHERE source = 'session' AND name IN (")
	for i, name := range track {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoteLiteral(strings.ToLower(name)))
	}
	b.WriteString(") ORDER BY name")
	return b.String()
}

// asked gathers a row of an answer to askSQL.
func (s *Server) asked(row []byte) {
	if s.ops.empty() || s.ops.first().flags&flagAsk == 0 || len(row) < 2 {
		return
	}
	row = row[2:]
	for range 2 {
		if len(row) < 4 {
			return
		}
		n := binary.BigEndian.Uint32(row)
		if uint64(n) > uint64(len(row)-4) {
			return
		}
		s.extra += string(row[4:4+n]) + "\x00"
		row = row[4+n:]
	}
}

// Detach ends the lease of a clean server.
func (s *Server) Detach() { s.owner = nil }

// Abandon is called when the server loses its client: answers still owed are
// swallowed, a COPY is ended and a unit without its Sync gets one (fx). What the
// client may have left behind is reset before another has the server.
func (s *Server) Abandon(fx *Effects) {
	if c := s.owner; c != nil && (c.pinned != 0 || s.ask) {
		s.dirty = true
	}
	s.owner, s.dirtyBy, s.ask, s.forgot = nil, nil, false, 0
	if s.copyIn {
		fx.ToServer = append(fx.ToServer, wire.CopyFail, 0, 0, 0, 5, 0)
		s.copyIn = false
	}
	if !s.ops.empty() {
		last := s.ops.list[len(s.ops.list)-1].kind
		if last == opQuery || last == opSync {
			return
		}
	} else if !s.skipping && !s.ops.open {
		return
	}
	if !s.skipping {
		// A Sync alone would commit what the client did not: fail first.
		fx.ToServer = wire.AppendNamed(fx.ToServer, wire.Describe, 'S', "spillway: abandoned")
		s.ops.push(op{kind: opDescribe, flags: flagSwallow, off: -1})
	}
	s.skipping = false
	fx.ToServer = wire.AppendEmpty(fx.ToServer, wire.Sync)
	s.ops.push(op{kind: opSync, flags: flagSwallow, off: -1})
}

// ReplaceError puts rep in place of the error of this SQLSTATE that the first
// owed answer will be.
func (s *Server) ReplaceError(code string, rep *wire.Report) {
	for i := s.ops.head; i < len(s.ops.list); i++ {
		if p := &s.ops.list[i]; p.flags&flagSwallow == 0 && p.rep == nil {
			p.rep, p.code = rep, code
			if p.kind == opQuery || p.kind == opSync {
				return
			}
		}
	}
}

// Dirty tells that a reset is needed before another client may have the server.
func (s *Server) Dirty() bool { return s.dirty }

// Reset sends sql ("DISCARD ALL", a check query, …) to a server that has no
// client. Its end is EventSetup or EventSetupFailed.
func (s *Server) Reset(sql string, fx *Effects) {
	s.Failure = wire.Report{}
	s.unnamed = nil
	s.extra = s.Settings.values().extra
	fx.ToServer = wire.AppendQuery(fx.ToServer, sql)
	s.ops.push(op{kind: opQuery, flags: flagSwallow | flagSetup})
}

// heal sends a unit again whose cached plan the server found stale, after
// preparing its statement anew. Outside transactions only, once, and only when
// nothing of the unit was answered but what will be answered alike.
func (s *Server) heal(p *op, fx *Effects) bool {
	if p.kind != opBind || p.st == nil || p.off < 0 || string(s.LastCode[:]) != "0A000" ||
		s.state != wire.Idle || s.answered || s.heals > 0 || s.owner == nil {
		return false
	}
	last := s.ops.list[len(s.ops.list)-1]
	if last.kind != opSync || last.off < 0 {
		return false
	}
	again := append([]op(nil), s.ops.list[s.ops.head:]...)
	for i := range again {
		if again[i].kind == opSync && i < len(again)-1 {
			return false
		}
		again[i].off = -1
	}
	for !s.ops.empty() {
		s.ops.pop()
	}
	st := p.st
	s.heals = 1
	s.ops.push(op{kind: opSync, flags: flagSwallow})
	s.ops.push(op{kind: opClose, flags: flagSwallow})
	fx.ToServer = wire.AppendNamed(fx.ToServer, wire.Close, 'S', st.name)
	s.ops.push(op{kind: opParse, flags: flagSwallow})
	fx.ToServer = wire.AppendParse(fx.ToServer, st.name, st.Text, stringBytes(st.types))
	fx.ToServer = append(fx.ToServer, s.unit[p.off:]...)
	s.ops.list = append(s.ops.list, again...)
	s.ops.count()
	s.ops.open = false // it ends with its Sync
	s.unit = s.unit[:0]
	return true
}
