// Package uring is a small io_uring binding for one event loop: multishot receives into a shared ring of buffers, batched
// sends, accepts, polls and cancels. It owns the two queues, the receive buffers and their memory, and the way a loop waits.
//
// It does not own sockets or out-buffers, knows nothing of connections, keeps no table of requests, arms nothing again by
// itself and has no goroutine. It needs Linux 6.1 (Probe says whether this process may use it, by doing so); elsewhere
// everything is ErrUnsupported and the epoll driver serves.
//
// # One thread
//
// A Ring belongs to the OS thread that made it: runtime.LockOSThread, New, every call, Close. The kernel checks it
// (IORING_SETUP_SINGLE_ISSUER) and in return takes no locks, and runs completions only when the loop enters
// (IORING_SETUP_DEFER_TASKRUN). Other goroutines wake the loop with an eventfd that it polls:
//
//	r.PollMultishot(wakeFD, unix.POLLIN, wakeData) // never read: each write is an edge
//
// # A turn
//
//	for {
//		err := r.SubmitAndWait(1, untilNextTimer) // last turn's sends, re-arms and recycled buffers, in one call
//		for c, ok := r.Next(); ok; c, ok = r.Next() {
//			// c.UserData → endpoint; act; r.Recycle what c carries
//		}
//		// one Send for each endpoint that has bytes to go
//	}
//
// Nothing in it allocates. Zero completions are normal (a timeout, a signal). Submissions beyond Config.Entries in a turn
// cost one more system call per Entries of them.
//
// # Memory
//
// Queues, receive buffers and wait arguments lie in mappings of their own, off the Go heap. A receive buffer is lent to the
// caller by Next and given back by Recycle, once; in between its memory stays put, so it may even be given to Send and
// recycled after that send's completion. Keep few: receives on every connection end with ENOBUFS while all are lent.
//
// A buffer given to Send is read by the kernel at any time until the completion, also after the peer is gone and after
// CloseFD. It must stay reachable (a field of the endpoint, not only the submission: the kernel's reference is no
// reference) and unchanged. After Close of the ring the kernel touches nothing.
//
// # Rules for a driver
//
// What follows is what the lifecycle test's driver does, in the words of the loop's engine: endpoints that are
// opened, paused, resumed, flushed and closed, and calls back for received, hung up, drained.
//
// Identity. User data is kind (8 bits), generation (24) and slot (32). A slot counts its requests in flight: +1 for each
// submitted, −1 for each completion without More. It is freed, and its generation advanced, only at zero and closed.
// So a stale completion cannot come; the generation proves it, and a mismatch is a bug to be counted, never acted upon.
//
// Open arms one RecvMultishot. Every completion of it without More means that it is gone: Res > 0, or ENOBUFS, arm again
// unless paused or closing; Res 0 is the peer's end, another error its failure: hung up, once, not armed again. Pieces of one
// receive complete in order, the end last. ENOBUFS loses nothing: the bytes stay in the socket. It can be armed again at
// once, as SubmitAndWait gives back recycled buffers before it submits; but only if buffers do come back, or the loop
// spins: so lend none beyond the callback.
//
// Pause. Most pauses are over before another piece comes, so the kernel need not hear of them: leave the receive armed, copy the
// pieces that come into memory of the endpoint's own, recycle, and cancel the receive only when that is more than a bound. A cancel
// takes effect at the next SubmitAndWait, and until then pieces complete: at most all buffers' size more. Without a
// receive the peer's end goes unheard, which a client waiting for its turn must not: PollAdd(POLLRDHUP) hears it and nothing
// else, once: armed again it says so again at once.
// On resume deliver what is held, before anything newer and before the hang-up that may lie behind it. A resume may come
// before the cancel is through: the old receive's pieces are then delivered as they come, and the new receive is armed at the
// old one's last completion, never before: two receives on a socket share out its bytes in no useful order.
//
// An endpoint whose receive had to be cancelled carries a long stream and will be paused again: resume it with Recv, one buffer at
// a time, where pausing is only not to arm again; return to RecvMultishot when a piece leaves its buffer part empty.
//
// Send. Of an endpoint's bytes to go, one piece is in flight, which nobody touches, and the rest fills up behind it. Two
// out-buffers that change places do that; so does one slice that is only appended to while a send is in flight, if
// the endpoint keeps the piece itself too: when append moves the slice, the kernel goes on reading the old array. Flush at
// the end of the turn: if nothing is in flight and there are bytes, Send them with SendAll. Its completion: an error is a
// hang-up; less than the length (a short send: without SendAll any time, with it only after an error or cancel) sends the rest,
// before any newer byte; then what has filled meanwhile, in the same turn. Never two sends in flight on a socket. Drained is
// told below the low-water mark of both together; that is what lifts the pause of the other side, and what pause bounds. Buffers
// of idle endpoints go to a free list.
//
// Close. First flush if the last bytes matter (bounded by a timer). From then on no callback; pieces that complete are
// recycled unread. With requests in flight: one CancelFD, itself a request; a receive ends with ECANCELED, a piece or 0,
// a send with ECANCELED or the number of bytes that went. At zero in flight close the descriptor and free the slot and the
// out-buffers. Not earlier: a request holds the connection open after close (the peer would see no end), the kernel still
// reads the out-buffer, and the descriptor's number would name another connection in a cancel by descriptor. A peer that is to see
// the end at once gets Shutdown first, which ends the receive as well.
//
// Accept. Ends on EMFILE and ENFILE: tell, and arm again after a pause by the loop's timer, not at once, or the loop spins.
//
// Handing a descriptor to another goroutine is a close without the close: cancel, wait for zero, and pass on the pieces held.
package uring
