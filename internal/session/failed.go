package session

import (
	"bytes"
	"encoding/binary"

	"spillway/internal/wire"
)

// failed takes an error. In the extended protocol the server now ignores all
// until Sync, so what was sent in between is undone in the books.
func (s *Server) failed(body []byte, forward bool, fx *Effects) (bool, Event) {
	copy(s.LastCode[:], wire.ReportCode(body))
	s.copyIn = false
	if s.ops.empty() {
		return s.owner != nil, EventError // a FATAL out of turn
	}
	p := *s.ops.first()
	if p.kind == opQuery || p.kind == opSync {
		if p.flags&(flagSetup|flagAsk) != 0 {
			s.Failure = wire.ParseReport(body)
			return false, 0
		}
		return s.replaced(&p, body, forward, fx), EventError
	}
	if s.heal(&p, fx) {
		return false, 0
	}
	if p.flags&flagSetup != 0 {
		s.skip()
		return false, 0 // the statement that needs it will say so
	}
	forward = s.replaced(&p, body, s.owner != nil, fx)
	s.skip()
	return forward, EventError
}

// replaced puts our own error in place of the server's, where that was meant.
func (s *Server) replaced(p *op, body []byte, forward bool, fx *Effects) bool {
	if forward && p.rep == nil && p.st != nil && p.name != "" {
		return s.renamed(p, body, fx)
	}
	if !forward || p.rep == nil || p.code != "" && p.code != string(s.LastCode[:]) {
		return forward
	}
	fx.ToClient = wire.AppendReport(fx.ToClient, wire.ErrorResponse, *p.rep)
	return false
}

// renamed puts the client's own name of a statement where an error tells ours.
func (s *Server) renamed(p *op, body []byte, fx *Effects) bool {
	ours := []byte(`"` + p.st.name + `"`)
	if !bytes.Contains(body, ours) || len(body) == 0 || body[len(body)-1] != 0 {
		return true
	}
	body = bytes.ReplaceAll(body, ours, []byte(`"`+p.name+`"`))
	fx.ToClient = append(fx.ToClient, wire.ErrorResponse)
	fx.ToClient = binary.BigEndian.AppendUint32(fx.ToClient, uint32(len(body)+4))
	fx.ToClient = append(fx.ToClient, body...)
	return false
}

// skip undoes everything up to the next Sync, the last first. The first is the
// one that failed.
func (s *Server) skip() {
	skipped := s.ops.list[s.ops.head:]
	for i := range skipped {
		if skipped[i].kind == opSync {
			skipped = skipped[:i]
			break
		}
	}
	s.skipping = s.ops.head+len(skipped) == len(s.ops.list)
	if len(skipped) > 0 && skipped[0].kind == opParse && skipped[0].flags&flagBare != 0 {
		s.settled = nil // a Parse that fails has dropped the one before it
	}
	for i := len(skipped) - 1; i >= 0; i-- {
		s.undo(&skipped[i], i == 0)
	}
	for range skipped {
		s.ops.pop()
	}
	s.unnamed = s.settled
	for i := s.ops.head; i < len(s.ops.list); i++ {
		switch p := &s.ops.list[i]; {
		case p.flags&flagBare != 0:
			s.unnamed = p.st
		case p.kind == opQuery && p.flags&flagCall == 0:
			s.unnamed = nil
		}
	}
}

func (s *Server) undo(p *op, failed bool) {
	if p.flags&flagUnnamed != 0 {
		s.undoUnnamed(p, failed && p.kind == opParse)
	}
	if p.st != nil {
		switch {
		case p.flags&flagAdded != 0:
			if _, ok := s.table.at[p.st]; ok {
				delete(s.table.at, p.st)
				s.cache.drop(p.st)
			}
		case p.flags&flagDropped != 0:
			s.table.add(p.st) // its Close was ignored; the reference is still held
		}
	}
	if p.cs == nil {
		return
	}
	if p.kind == opClose || p.kind == opReply && p.bytes == wire.CloseComplete {
		if s.owner != nil {
			s.owner.restore(p.cs)
		} else {
			s.cache.drop(p.cs.st)
		}
	} else if s.owner != nil {
		s.owner.revoke(p.cs)
	}
}

// undoUnnamed gives the client back the unnamed statement it had before p, or
// none when p has dropped it.
func (s *Server) undoUnnamed(p *op, dropped bool) {
	switch {
	case s.owner == nil:
		s.cache.drop(p.prev)
	case dropped:
		s.cache.drop(p.prev)
		s.owner.setUnnamed(nil)
	default:
		s.owner.setUnnamed(p.prev)
	}
	p.prev = nil
}
