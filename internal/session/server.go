package session

import (
	"bytes"
	"encoding/binary"

	"spillway/internal/statement"
	"spillway/internal/wire"
)

// Event is what an answer of the server meant. It is a set.
type Event uint16

// Events.
const (
	EventReady       Event = 1 << iota // ReadyForQuery for the client
	EventSetup                         // preparing for the client ended well
	EventSetupFailed                   // it failed; Server.Failure tells why
	EventBroken                        // the server broke the protocol: close it
	EventError                         // an ErrorResponse passed; Server.LastCode tells which
	EventTransaction                   // a transaction ended
	EventOwn                           // ReadyForQuery for something of ours
)

// Server is the server half of a session. The zero value is a server fresh
// from login, idle and clean; set Settings to what it reported.
type Server struct {
	Settings Settings

	ops      ops
	table    table
	cache    *Cache
	unnamed  *Statement // what Parse "" last made there, once all is answered
	settled  *Statement // the same, by what is answered
	bound    *Statement // what was bound last; nil after a simple query
	owner    *Client    // the client that has the lease; nil while idle or orphaned
	unit     []byte     // the unit's messages as sent, for healing 0A000
	dirtyBy  *Client    // whose statements may have left state behind
	state    byte       // transaction state of the last ReadyForQuery
	escapes  bool       // standard_conforming_strings is off
	foreign  bool       // client_encoding is one whose texts cannot be read byte by byte
	sticky   bool       // state was left that no reset undoes
	dirty    bool       // state may be left that settings do not show
	skipping bool       // an error was seen; the server ignores all until Sync
	copyIn   bool       // the server reads COPY data
	asking   bool
	cleaning bool // the setup under way resets what may be left
	ask      bool // a followed setting may have changed: ask before release
	forgot   forgetting
	answered bool // something of this unit reached the client: no healing
	heals    uint8
	extra    string   // settings being gathered by an ask
	fresh    Settings // what was reported when RESET ALL or DISCARD ALL had been done

	// Failure is the error of a failed setup. Owned by the server until the next one.
	Failure wire.Report
	// LastCode is the SQLSTATE of the last error.
	LastCode [5]byte
}

// forgetting is where RESET ALL or DISCARD ALL of a client stands: what the
// client sets after it holds, what it had set before does not.
type forgetting uint8

const (
	forgetsNow  forgetting = iota + 1 // asked for, or done in the unit under way
	forgetsDone                       // Server.fresh tells what it left
)

// NewServer returns a server as it is after login with these settings.
func NewServer(cache *Cache, s Settings) *Server {
	return &Server{cache: cache, Settings: s, state: wire.Idle,
		escapes: s.Get("standard_conforming_strings") == "off", foreign: !statement.Lexable([]byte(s.Get("client_encoding")))}
}

// Sticky tells that state was left which only closing the server removes.
func (s *Server) Sticky() bool { return s.sticky }

// State is the transaction state the server last reported.
func (s *Server) State() byte { return s.state }

// Owner is the client that has the server's lease; nil when none has.
func (s *Server) Owner() *Client { return s.owner }

// Clean is the release rule: the server reported idle, owes nothing, reads no
// COPY data, and nothing sent to it is unsynced. ReadyForQuery alone proves
// none of this.
func (s *Server) Clean() bool {
	return s.ops.empty() && !s.ops.open && s.state == wire.Idle && !s.copyIn && !s.skipping
}

// Quiet tells that the server owes nothing and no unit waits for its Sync,
// whatever transaction it is in.
func (s *Server) Quiet() bool {
	return s.ops.empty() && !s.ops.open && !s.copyIn && !s.skipping
}

// Behind tells that whole units are still to be answered: what Front held may
// go on once they are.
func (s *Server) Behind() bool { return s.ops.behind() }

// Copying tells that COPY data is streaming to or from the server.
func (s *Server) Copying() bool { return s.copyIn }

// Prepared is how many statements the server holds for clients.
func (s *Server) Prepared() int { return len(s.table.at) }

// Forget drops what the server has prepared from the books, for a server that
// is closed or leaves its loop.
func (s *Server) Forget() {
	for st := range s.table.at {
		s.cache.drop(st)
	}
	clear(s.table.at)
	s.unnamed, s.settled = nil, nil
	for !s.ops.empty() {
		s.ops.pop()
	}
}

// push adds an owed reply. A reply made by us is sent at once when nothing
// stands before it.
func (s *Server) push(p op, fx *Effects) {
	s.ops.push(p)
	s.emit(fx)
}

// emit sends the replies made by us that stand first.
func (s *Server) emit(fx *Effects) {
	for !s.ops.empty() {
		p := s.ops.first()
		switch p.kind {
		case opReply:
			if s.owner != nil {
				fx.ToClient = wire.AppendEmpty(fx.ToClient, p.bytes)
			}
			if p.cs != nil && p.bytes == wire.CloseComplete {
				s.cache.drop(p.cs.st)
			}
		case opCopyEnd:
		default:
			return
		}
		s.ops.pop()
	}
}

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
