package session

import (
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
