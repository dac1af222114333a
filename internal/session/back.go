package session

import (
	"bytes"

	"spillway/internal/statement"
	"spillway/internal/wire"
)

// Streams tells that rows and COPY data go to the client as they are: the
// caller need not ask about each.
func (s *Server) Streams() bool {
	return s.owner != nil && (s.ops.empty() || s.ops.first().flags&(flagSwallow|flagQuiet) == 0)
}

// Back takes one message of the server. body is what is there of its body: all
// of it for the kinds Whole names, otherwise it may be cut. forward says
// whether the message goes to the client; what fx holds for the client goes
// behind it.
func (s *Server) Back(kind byte, body []byte, fx *Effects) (forward bool, ev Event) {
	forward = s.owner != nil && (s.ops.empty() || s.ops.first().flags&flagSwallow == 0)
	switch kind {
	case wire.DataRow, wire.CopyData, wire.CopyDone, wire.FunctionCallResponse, wire.ParameterDescription:
		if !s.ops.empty() && s.ops.first().flags&flagQuiet != 0 && kind == wire.DataRow {
			return false, 0
		}
		if !forward && kind == wire.DataRow {
			s.asked(body)
		}
		s.answered = true
		return forward, 0
	case wire.ReadyForQuery:
		return s.ready(body, forward, fx)
	case wire.ErrorResponse:
		return s.failed(body, forward, fx)
	case wire.CommandComplete:
		if len(body) > 0 && body[0] == 'D' {
			s.discarded(body)
		}
		return s.done(opExecute, body, forward, fx)
	case wire.EmptyQueryResponse, wire.PortalSuspended:
		return s.done(opExecute, body, forward, fx)
	case wire.ParseComplete:
		return s.exactly(opParse, forward, fx)
	case wire.BindComplete:
		return s.exactly(opBind, forward, fx)
	case wire.CloseComplete:
		return s.exactly(opClose, forward, fx)
	case wire.RowDescription, wire.NoData:
		return s.done(opDescribe, body, forward, fx)
	case wire.CopyInResponse, wire.CopyBothResponse:
		s.copyStarts()
		if s.owner == nil {
			s.endCopy(fx)
		}
		return forward, 0
	case wire.CopyOutResponse:
		return forward, 0
	case wire.ParameterStatus:
		s.parameter(body)
		return forward, 0
	case wire.NoticeResponse:
		return forward, 0
	case wire.NotificationResponse:
		return s.owner != nil, 0
	}
	return false, EventBroken
}

// Whole tells for which kinds Back must see the whole body.
func Whole(kind byte) bool {
	switch kind {
	case wire.ReadyForQuery, wire.ParameterStatus, wire.CommandComplete, wire.ErrorResponse:
		return true
	}
	return false
}

// done ends the first op when it is of this kind; in a simple query the same
// messages end nothing.
func (s *Server) done(kind opKind, body []byte, forward bool, fx *Effects) (bool, Event) {
	if s.ops.empty() {
		return false, EventBroken
	}
	s.answered = true
	switch p := s.ops.first(); {
	case p.flags&flagQuiet != 0:
		s.copyIn = false
		return forward && s.hides(kind, body), 0
	case p.kind == kind:
		s.copyIn = false
		s.ops.pop()
		s.emit(fx)
	case p.kind == opQuery:
		s.copyIn = s.copyIn && kind != opExecute
	default:
		return false, EventBroken
	}
	return forward, 0
}

// hides tells which answers of a query with a SELECT of ours go on: the tags
// of the client's statements.
func (s *Server) hides(kind opKind, tag []byte) bool {
	return kind == opExecute && !bytes.HasPrefix(tag, []byte("SELECT"))
}

// endCopy ends a COPY whose client is gone.
func (s *Server) endCopy(fx *Effects) {
	fx.ToServer = append(fx.ToServer, wire.CopyFail, 0, 0, 0, 5, 0)
	s.copyIn = false
	if !s.ops.empty() && s.ops.first().kind == opExecute {
		last := s.ops.list[len(s.ops.list)-1].kind
		if last != opSync && last != opQuery {
			fx.ToServer = wire.AppendEmpty(fx.ToServer, wire.Sync)
			s.ops.push(op{kind: opSync, flags: flagSwallow, off: -1})
		}
	}
}

func (s *Server) exactly(kind opKind, forward bool, fx *Effects) (bool, Event) {
	if s.ops.empty() || s.ops.first().kind != kind {
		return false, EventBroken
	}
	if p := s.ops.first(); p.flags&flagDropped != 0 {
		s.cache.drop(p.st)
	} else if p.flags&flagUnnamed != 0 {
		s.cache.drop(p.prev)
	}
	if p := s.ops.first(); p.flags&flagBare != 0 {
		s.settled = p.st
	}
	s.answered = s.answered || kind == opBind
	s.ops.pop()
	s.emit(fx)
	return forward, 0
}

func (s *Server) ready(body []byte, forward bool, fx *Effects) (bool, Event) {
	if len(body) != 1 || s.ops.empty() {
		return false, EventBroken
	}
	p := *s.ops.first()
	if p.kind != opQuery && p.kind != opSync {
		return false, EventBroken
	}
	s.ops.pop()
	if p.flags&flagUnnamed != 0 {
		s.cache.drop(p.prev)
	}
	if p.kind == opQuery && p.flags&flagCall == 0 {
		s.settled = nil
	}
	s.skipping, s.copyIn = false, false
	s.state = body[0]
	if s.forgot == forgetsNow && p.flags&flagSwallow == 0 {
		s.forgot, s.fresh = forgetsDone, s.Settings
	}
	ev := EventOwn
	switch {
	case p.flags&flagAsk != 0:
		s.Settings, s.asking = s.Settings.withExtras(s.extra), false
	case p.flags&flagSetup != 0:
		ev = s.setupEnds()
	case p.flags&flagSwallow == 0:
		ev = EventReady
		if s.state == wire.Idle {
			ev |= EventTransaction
		}
	}
	if s.ops.empty() {
		s.unit, s.answered, s.heals = s.unit[:0], false, 0
	}
	s.emit(fx)
	return forward, ev
}

// copyStarts: while it reads COPY data the server ignores Sync, so those sent
// before the data's end are owed nothing.
func (s *Server) copyStarts() {
	s.copyIn = true
	if s.ops.empty() || s.ops.first().kind != opExecute && s.ops.first().kind != opQuery {
		return
	}
	kept := s.ops.head + 1
	for i := kept; i < len(s.ops.list); i++ {
		p := s.ops.list[i]
		if p.kind == opCopyEnd {
			s.copyIn = false
			kept += copy(s.ops.list[kept:], s.ops.list[i:])
			break
		}
		if p.kind != opSync {
			s.ops.list[kept] = p
			kept++
		}
	}
	clear(s.ops.list[kept:])
	s.ops.list = s.ops.list[:kept]
	s.ops.count()
}

func (s *Server) parameter(body []byte) {
	name, rest, ok := wire.CString(body)
	if !ok {
		return
	}
	value, _, ok := wire.CString(rest)
	if !ok {
		return
	}
	s.Settings = s.Settings.With(string(name), string(value))
	switch string(name) {
	case "standard_conforming_strings":
		s.escapes = string(value) == "off"
	case "client_encoding":
		s.foreign = !statement.Lexable(value)
	}
}

// discarded sees DISCARD ALL and DEALLOCATE ALL by their tags, wherever in a
// text or a function-free block they stood.
func (s *Server) discarded(tag []byte) {
	switch string(tag) {
	case "DISCARD ALL\x00":
		s.forgot, s.dirty, s.ask = forgetsNow, false, false
		s.Settings, s.extra = s.Settings.withExtras(""), ""
		if s.owner != nil {
			s.owner.pinned = 0
		}
	case "DEALLOCATE ALL\x00":
	default:
		return
	}
	for st := range s.table.at {
		s.cache.drop(st)
	}
	clear(s.table.at)
	if s.owner != nil {
		s.owner.forgetStatements()
	}
}
