package schedule

// State of a server, as far as scheduling sees it.
type State uint8

const (
	Closed  State = iota // holds no slot: never opened, failed, or gone
	Opening              // an Open directive is under way; lane says who it was opened for
	Idle                 // in its pool's idle list, since idle
	Active               // held by a client of workload work, since the grant
	Closing              // a Close directive is under way; the slot is free at Gone
)

// Mark refines Active for display: what the proxy does with a server that no client uses right now.
type Mark uint8

const (
	NoMark    Mark = iota
	Tested         // reset or check query running
	Cancelled      // waits for cancel requests to end (PgBouncer's being_canceled)
	markCount
)

// Server is one connection to PostgreSQL and the slot it fills. The Host makes it with an Open directive; the proxy hangs
// its own side on Data.
type Server struct {
	Pool *Pool
	// Loop is the event loop that owns the server. The Host sets it at Open and at each grant; the proxy reads it in
	// directives, and while the server is active.
	Loop int
	// Fit is the startup identity the server has logged in with; set by the Host before Open, constant after.
	Fit uint64
	// Data belongs to the proxy. The Host never touches it.
	Data any
	// Lease counts the grants of this server: it tells one holder from the next. The Host sets it; read it while active.
	Lease uint64
	// Stale is set at a grant when the server was idle for longer than CheckAfter: test it first.
	Stale bool

	state    State
	mark     Mark
	probe    bool // opened while the breaker was open
	retired  bool // close as soon as nobody holds it
	slots    *slots
	since    int64
	opened   int64
	expires  int64 // end of life; 0 never
	patience int64 // idle time after which it is closed; 0 never
	index    int   // in Pool.servers
	lane     *lane // Opening or Closing: the lane it comes for; may be nil
	work     *Workload
	owner    *Workload // who a Reclaim was sent for
	prev     *Server   // idle list, towards the longest idle
	next     *Server   // idle list, towards the last released
}

// idleList orders idle servers by when they were released: old is the longest idle.
type idleList struct {
	old, young *Server
	n          int
}

func (l *idleList) push(s *Server) {
	s.prev, s.next = l.young, nil
	if l.young == nil {
		l.old = s
	} else {
		l.young.next = s
	}
	l.young = s
	l.n++
}

func (l *idleList) remove(s *Server) {
	if s.prev == nil {
		l.old = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.young = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	l.n--
}
