package uring

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags for Send, and how for Shutdown.
const (
	// SendAll makes the kernel retry a short send itself: one completion, with the whole length, or less only after an error
	// or a cancel in the middle.
	SendAll = unix.MSG_WAITALL
	// SendNow makes a send complete when it is submitted: with less than the whole length, or -EAGAIN, if there is no room.
	SendNow = unix.MSG_DONTWAIT
	// SendMore says that more follows soon, so that TCP need not push a partial segment.
	SendMore = unix.MSG_MORE

	ShutRead  = unix.SHUT_RD
	ShutWrite = unix.SHUT_WR
	ShutBoth  = unix.SHUT_RDWR
)

// RecvMultishot receives from fd into buffers of the ring until it ends: one completion per piece, with Buffer set, and Res its
// length. A completion without More is the last one, for whatever reason: Res 0 (the peer's half-close), an error, -ENOBUFS (all
// buffers are lent out), -ECANCELED, or a piece like any other. The request is then gone; arming it again is the caller's.
func (r *Ring) RecvMultishot(fd int, userData uint64) {
	*r.slot() = sqe{opcode: opRecv, flags: sqeBufferSelect, ioprio: recvMultishot, fd: int32(fd), userData: userData}
}

// Recv receives once into a buffer of the ring. For an endpoint under back-pressure: not arming it again is the pause.
func (r *Ring) Recv(fd int, userData uint64) {
	*r.slot() = sqe{opcode: opRecv, flags: sqeBufferSelect, fd: int32(fd), userData: userData}
}

// Send sends buf. Res of its one completion is the number of bytes taken, which may be less than len(buf): send the rest then.
// No SIGPIPE is raised. Two sends in flight on one stream may interleave: have one at a time.
//
// The kernel reads buf at any time until the completion, whatever happens to fd. The caller must keep it reachable and
// unchanged until then; it may be on the Go heap (which does not move) and is made to be so if it would be on a stack.
func (r *Ring) Send(fd int, buf []byte, userData uint64, flags int) {
	p := unsafe.Pointer(unsafe.SliceData(buf))
	r.escape = p
	*r.slot() = sqe{
		opcode: opSend, fd: int32(fd), addr: uint64(uintptr(p)), len: uint32(min(len(buf), maxSend)),
		opFlags: uint32(flags | unix.MSG_NOSIGNAL), userData: userData,
	}
}

// maxSend is the most that one request takes (the kernel's MAX_RW_COUNT).
const maxSend = 0x7ffff000

// AcceptMultishot accepts connections on fd until it ends: one completion per connection, Res the descriptor, which is
// non-blocking and close-on-exec. Without More it has ended, be it after a good connection (a full completion queue does that) or
// with -EMFILE or -ENFILE: arm it again, after a pause if descriptors are short.
func (r *Ring) AcceptMultishot(fd int, userData uint64) {
	*r.slot() = sqe{
		opcode: opAccept, ioprio: acceptMultishot, fd: int32(fd),
		opFlags: unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC, userData: userData,
	}
}

// PollAdd waits once for events (unix.POLLIN, POLLOUT, …) on fd; Res is the mask that came.
func (r *Ring) PollAdd(fd int, events uint32, userData uint64) {
	*r.slot() = sqe{opcode: opPollAdd, fd: int32(fd), opFlags: pollMask(events), userData: userData}
}

// PollMultishot is PollAdd that goes on while completions have More. It is edge-triggered: a completion per wake-up of fd, and one
// at once if it is ready already. An eventfd armed so never needs to be read. Without More (a full completion queue) the event
// counts all the same: arm it again.
func (r *Ring) PollMultishot(fd int, events uint32, userData uint64) {
	*r.slot() = sqe{opcode: opPollAdd, fd: int32(fd), len: pollMultishot, opFlags: pollMask(events), userData: userData}
}

// pollMask is the form the kernel wants a poll mask in: half words swapped on big-endian machines.
func pollMask(events uint32) uint32 {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return events
	}
	return events<<16 | events>>16
}

// CancelUserData cancels the request submitted with user data target. The cancelled request completes as well, with
// -ECANCELED or with what it had just done, in either order: what it owns is free only after its own last completion.
// Res here: 0 cancelled, -ENOENT no such request (any more), -EALREADY too late to stop it.
func (r *Ring) CancelUserData(target, userData uint64) {
	*r.slot() = sqe{opcode: opAsyncCancel, fd: -1, addr: target, userData: userData}
}

// CancelFD cancels every request on fd, which must still be open; Res is how many, or -ENOENT for none. Each completes as CancelUserData says.
func (r *Ring) CancelFD(fd int, userData uint64) {
	*r.slot() = sqe{opcode: opAsyncCancel, fd: int32(fd), opFlags: cancelAll | cancelFD, userData: userData}
}

// CloseFD closes fd. Requests in flight on it keep the connection open until they end: cancel them first.
func (r *Ring) CloseFD(fd int, userData uint64) {
	*r.slot() = sqe{opcode: opClose, fd: int32(fd), userData: userData}
}

// Shutdown is shutdown(2): how is ShutRead, ShutWrite or ShutBoth. A receive in flight ends with Res 0 after ShutRead or ShutBoth.
func (r *Ring) Shutdown(fd, how int, userData uint64) {
	*r.slot() = sqe{opcode: opShutdown, fd: int32(fd), len: uint32(how), userData: userData}
}

// Nop completes with Res 0.
func (r *Ring) Nop(userData uint64) {
	*r.slot() = sqe{opcode: opNop, fd: -1, userData: userData}
}

// slot is the next entry to fill. A full queue is submitted first, without waiting; where the kernel has no memory even
// for that, the entry goes to the backlog and the next SubmitAndWait tries again or says why not.
func (r *Ring) slot() *sqe {
	if r.room() == 0 || len(r.backlog) > 0 {
		return r.slotBehindFull()
	}
	return r.sq.slot()
}

func (r *Ring) slotBehindFull() *sqe {
	if len(r.backlog) == 0 {
		r.bufs.publish()
		_ = r.submit() // an error here is met again by SubmitAndWait, which returns it
		if r.room() > 0 {
			return r.sq.slot()
		}
	}
	r.backlog = append(r.backlog, sqe{})
	return &r.backlog[len(r.backlog)-1]
}

// slot takes the next entry of a queue that has room. The kernel sees it once the tail is published.
func (q *sqRing) slot() *sqe {
	s := (*sqe)(unsafe.Add(q.sqes, uintptr(q.next&q.mask)*unsafe.Sizeof(sqe{})))
	q.next++
	return s
}
