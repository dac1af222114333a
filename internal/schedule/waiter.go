package schedule

// Waiter is a client's place in the queue. The proxy embeds it in its client, so that waiting allocates nothing. The
// exported fields are the proxy's and must not change between Acquire and the grant, failure or Leave that ends the wait.
type Waiter struct {
	// Data belongs to the proxy. The Host never touches it.
	Data any
	// Workload the client is in; nil is the host's default workload.
	Workload *Workload
	// Loop the client lives on.
	Loop int
	// Fit is the startup identity a server must have; 0 where any server of the pool serves (transaction pooling).
	Fit uint64
	// Refusal says why Acquire answered Refused; written by the Host.
	Refusal Reason

	queued bool
	passed int // times a later waiter of the server's own loop went first
	since  int64
	seq    uint64 // order of arrival on the host
	lane   *lane
	prev   *Waiter
	next   *Waiter
}

// lane is the FIFO of one workload's waiters in one pool.
type lane struct {
	pool       *Pool
	work       *Workload
	head, tail *Waiter
	waiting    int
	coming     int    // servers under way for this lane: opening, or closing to make room
	tried      uint64 // the last round of Host.raise that found no slot for it
	busyAt     int    // index in pool.busy, valid while waiting > 0
}

func (l *lane) push(w *Waiter) {
	w.prev, w.next = l.tail, nil
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.waiting++
}

func (l *lane) remove(w *Waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	l.waiting--
}

// pick returns the waiter that s goes to: the first that fits among the first walk waiters, or one of the server's own
// loop close behind it. reach bounds that preference twice: how far behind, and how often one waiter is passed.
func (l *lane) pick(s *Server, walk, reach int) *Waiter {
	w := l.head
	for ; w != nil && w.Fit != s.Fit; w = w.next {
		if walk--; walk <= 0 {
			return nil
		}
	}
	if w == nil || reach <= 1 || w.Loop == s.Loop {
		return w
	}
	near := w
	for n := 0; near != nil && n < reach; near, n = near.next, n+1 {
		if near.Loop == s.Loop && near.Fit == s.Fit {
			w.pass(near)
			return near
		}
		if near.passed >= reach {
			break
		}
	}
	return w
}

// pass notes on w and everyone behind it up to near that near went first.
func (w *Waiter) pass(near *Waiter) {
	for ; w != near; w = w.next {
		w.passed++
	}
}
