package proxy

import "unsafe"

// stop says why an endpoint is not read. Reading goes on when none is left.
type stop uint8

const (
	stopWaiting stop = 1 << iota // its client waits for a server, a login step or a verb
	stopPeer                     // its peer takes no more for now
	stopSuspend                  // SUSPEND
	stopDone                     // nothing more is wanted from it; it is closed when out is sent
)

// role says whose endpoint it is.
type role uint8

const (
	roleListener role = iota + 1
	roleClient
	roleServer
)

// endpoint is one socket of a loop. Only the loop's thread touches it. It is the
// first field of whose it is, and role says what that is.
type endpoint struct {
	fd        int32
	role      role
	stops     stop
	closed    bool
	ready     bool   // epoll: an edge was seen while stopped; io_uring: bytes are kept
	queued    bool   // epoll: on the ready list
	hung      bool   // the peer closed its side
	congested bool   // out is above highWater and its peer is stopped
	birth     int32  // epoll: which endpoint of its slot this is
	slot      int32  // io_uring and goroutine: the driver's own index; -1 = none
	in        []byte // received, not yet taken
	out       []byte // to be sent, from sent on
	sent      int
	tls       *tlsLayer
}

// ofClient is the client whose endpoint ep is: its role must be roleClient.
func (ep *endpoint) ofClient() *client { return (*client)(unsafe.Pointer(ep)) }

// ofServer is the server whose endpoint ep is: its role must be roleServer.
func (ep *endpoint) ofServer() *server { return (*server)(unsafe.Pointer(ep)) }

// ofListener is the door whose endpoint ep is: its role must be roleListener.
func (ep *endpoint) ofListener() *door { return (*door)(unsafe.Pointer(ep)) }

// What is embedded first lies at offset 0; else this does not compile.
const _ = -(unsafe.Offsetof(client{}.endpoint) + unsafe.Offsetof(server{}.endpoint) + unsafe.Offsetof(door{}.endpoint))

// door is a loop's socket of a listener.
type door struct {
	endpoint
	listener *listener
}

func newDoor(fd int, ln *listener) *endpoint {
	d := &door{endpoint{fd: int32(fd), role: roleListener, slot: -1}, ln}
	return &d.endpoint
}

const (
	// readSize is what one read takes at most: PostgreSQL sends in 8 KiB pieces,
	// and sixteen at once keep a bulk transfer to few calls.
	readSize = 128 << 10
	// highWater stops the peer that fills an endpoint's out, lowWater lets it go on.
	highWater = 256 << 10
	lowWater  = 64 << 10
)

func (ep *endpoint) pending() int { return len(ep.out) - ep.sent }

// driver moves bytes between the sockets and a loop. All methods but wake are
// called on the loop's thread. Bytes given to received are valid during the
// call only; what is not taken stays in endpoint.in by the loop's hand.
type driver interface {
	name() string
	// add begins to receive from ep (to accept, for a listener).
	add(ep *endpoint) error
	// remove stops receiving and closes the socket once that is safe.
	remove(ep *endpoint)
	// release stops receiving and leaves the socket open: it moves to another
	// loop, which adds it. done is called on this loop when that is safe.
	release(ep *endpoint, done func())
	// send takes all of b: what cannot be written now is kept in ep.out.
	send(ep *endpoint, b []byte)
	// resume is called when the last stop of ep has gone.
	resume(ep *endpoint)
	// turn handles what is there, waiting for up to wait nanoseconds (<0: for
	// ever) when there is nothing.
	turn(wait int64) error
	wake()
	close()
}

// sink is what a driver tells its loop.
type sink interface {
	received(ep *endpoint, b []byte)
	// hungUp: the peer closed or the socket failed. Called once.
	hungUp(ep *endpoint, err error)
	// drained: out fell below lowWater.
	drained(ep *endpoint)
	accepted(ep *endpoint, fd int)
	woken()
}
