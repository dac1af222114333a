package proxy

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"spillway/internal/uring"
)

// ring is the driver on io_uring: receives are armed once and fill buffers that
// all connections share; the sends of a turn go to the kernel in the call that
// waits for the next. internal/uring's doc.go has the rules it follows.
type ring struct {
	sink   sink
	r      *uring.Ring
	wakeFD int
	slots  []ringSlot
	free   []uint32
	dirty  []uint32 // have bytes to send and none in flight
	due    []uint32 // have held bytes, or an end, to deliver
	again  []uint32 // listeners that ran out of descriptors
	bufs   [][]byte // empty out-buffers
	large  [][]byte // larger ones
	rearm  time.Time
	ending bool // the loop is over: nothing is delivered any more
}

// ringSlot is what the kernel may know an endpoint by. It outlives the endpoint
// until the last request is answered.
type ringSlot struct {
	ep       *endpoint // nil once removed
	fd       int32
	gen      uint32
	flying   int32  // requests in flight
	armed    bool   // a receive (or accept) is one of them
	polled   bool   // a poll for the peer's end is one of them
	single   bool   // received one buffer at a time: a long stream that pauses
	waiting  bool   // on dirty
	listed   bool   // on due
	sending  []byte // what the kernel reads
	outgrown []byte // what sending is part of, if ep.out is another by now
	held     []byte // received while the endpoint was stopped
	ended    error  // the peer's end, not told yet
	over     bool   // the peer's end was seen
	left     func() // release: called instead of closing
}

// Kinds of requests, in the user data's highest byte.
const (
	ringRecv = iota + 1
	ringSend
	ringPoll
	ringCancel
	ringAccept
	ringWake
)

const (
	// ringBuffers × ringBuffer stay near the size of a second-level cache.
	ringBuffers = 128
	ringBuffer  = 16 << 10
	// mostHeld is how much a stopped endpoint's receive may still bring before
	// it is taken back.
	mostHeld = 64 << 10
	// smallOut is the out-buffer an endpoint begins with; of those larger than
	// largestSpare few are kept for others.
	smallOut     = 4 << 10
	largestSpare = 32 << 10
	spareOuts    = 512
	// spareLarge bounds the larger ones that are kept: for as many streams at once
	// nothing is allocated.
	spareLarge = 16
	// acceptPause is the wait for a descriptor when there is none.
	acceptPause = 100 * time.Millisecond
	// lastWords bounds how long close waits for what is still to be sent.
	lastWords = 200 * time.Millisecond
)

func newRing(s sink) (driver, error) {
	if _, err := uring.Probe(); err != nil {
		return nil, fmt.Errorf("try io_uring: %w", err)
	}
	r, err := uring.New(uring.Config{BufferCount: ringBuffers, BufferSize: ringBuffer})
	if err != nil {
		return nil, fmt.Errorf("make io_uring: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create eventfd: %w", err), r.Close())
	}
	d := &ring{sink: s, r: r, wakeFD: wake}
	r.PollMultishot(wake, unix.POLLIN, ringData(ringWake, 0, 0))
	return d, nil
}

func (d *ring) name() string { return "io_uring" }

func ringData(kind, gen, slot uint32) uint64 {
	return uint64(kind)<<56 | uint64(gen&0xffffff)<<32 | uint64(slot)
}

// submitted counts a request of slot i and returns its user data.
func (d *ring) submitted(i uint32, kind uint32) uint64 {
	s := &d.slots[i]
	s.flying++
	return ringData(kind, s.gen, i)
}

func (d *ring) add(ep *endpoint) error {
	var i uint32
	if n := len(d.free); n > 0 {
		i, d.free = d.free[n-1], d.free[:n-1]
	} else {
		i = uint32(len(d.slots))
		d.slots = append(d.slots, ringSlot{})
	}
	s := &d.slots[i]
	*s = ringSlot{ep: ep, fd: ep.fd, gen: s.gen + 1}
	ep.slot = int32(i)
	d.receive(i)
	if ep.pending() > 0 {
		d.wants(i)
	}
	return nil
}

// receive arms what brings bytes or connections, unless it is armed or over.
func (d *ring) receive(i uint32) {
	s := &d.slots[i]
	if s.armed || s.over || s.ep == nil || d.ending {
		return
	}
	s.armed = true
	switch {
	case s.ep.role == roleListener:
		d.r.AcceptMultishot(int(s.fd), d.submitted(i, ringAccept))
	case s.single:
		d.r.Recv(int(s.fd), d.submitted(i, ringRecv))
	default:
		d.r.RecvMultishot(int(s.fd), d.submitted(i, ringRecv))
	}
}

// wants puts a slot on the list of those with bytes to send.
func (d *ring) wants(i uint32) {
	if s := &d.slots[i]; !s.waiting && s.sending == nil {
		s.waiting = true
		d.dirty = append(d.dirty, i)
	}
}

func (d *ring) send(ep *endpoint, b []byte) {
	if ep.closed || ep.hung || len(b) == 0 || ep.slot < 0 {
		return
	}
	i := uint32(ep.slot)
	s := &d.slots[i]
	switch {
	case ep.out == nil:
		ep.out = d.buffer()
	case s.sending == nil && ep.sent > 0 && ep.sent*2 >= len(ep.out):
		ep.out = ep.out[:copy(ep.out, ep.out[ep.sent:])]
		ep.sent = 0
	}
	if len(ep.out)+len(b) > cap(ep.out) {
		d.grow(s, len(b))
	}
	ep.out = append(ep.out, b...)
	d.wants(i)
}

// grow gives an endpoint a buffer with room for more bytes. A send in flight
// reads the old one to its end; it is kept for others afterwards.
func (d *ring) grow(s *ringSlot, more int) {
	ep := s.ep
	old, waiting := ep.out, ep.out[ep.sent:]
	next := d.larger(2 * (len(waiting) + more))
	ep.out, ep.sent = append(next, waiting...), 0
	switch {
	case s.sending == nil:
		d.spare(old)
	case s.outgrown == nil:
		s.outgrown = old
	default: // the kernel reads an earlier one
		d.spare(old)
	}
}

// larger returns an empty buffer of at least n bytes.
func (d *ring) larger(n int) []byte {
	for i := len(d.large) - 1; i >= 0; i-- {
		if b := d.large[i]; cap(b) >= n {
			d.large[i] = d.large[len(d.large)-1]
			d.large = d.large[:len(d.large)-1]
			return b
		}
	}
	if n > largestSpare {
		n = max(n, 2*highWater)
	}
	return make([]byte, 0, n)
}

func (d *ring) buffer() []byte {
	if n := len(d.bufs); n > 0 {
		b := d.bufs[n-1]
		d.bufs = d.bufs[:n-1]
		return b
	}
	return make([]byte, 0, smallOut)
}

func (d *ring) spare(b []byte) {
	switch {
	case cap(b) < smallOut:
	case cap(b) <= largestSpare && len(d.bufs) < spareOuts:
		d.bufs = append(d.bufs, b[:0])
	case cap(b) > largestSpare && cap(b) <= 4*highWater && len(d.large) < spareLarge:
		d.large = append(d.large, b[:0])
	}
}

// flush submits one send for each endpoint that has bytes and none in flight.
func (d *ring) flush() {
	for _, i := range d.dirty {
		s := &d.slots[i]
		s.waiting = false
		if s.ep == nil || s.sending != nil || s.ep.pending() == 0 {
			continue
		}
		s.sending = s.ep.out[s.ep.sent:]
		d.r.Send(int(s.fd), s.sending, d.submitted(i, ringSend), uring.SendAll)
	}
	d.dirty = d.dirty[:0]
}

func (d *ring) resume(ep *endpoint) {
	if ep.closed || ep.slot < 0 {
		return
	}
	i := uint32(ep.slot)
	if s := &d.slots[i]; len(s.held) > 0 || s.ended != nil {
		d.deliverSoon(i)
		return
	}
	d.receive(i)
}

func (d *ring) deliverSoon(i uint32) {
	if s := &d.slots[i]; !s.listed {
		s.listed = true
		d.due = append(d.due, i)
	}
}

// remove forgets the endpoint; its socket is closed when the kernel has
// answered every request. Last words that wait get one attempt.
func (d *ring) remove(ep *endpoint) {
	if ep.slot < 0 {
		unix.Close(int(ep.fd))
		return
	}
	i := uint32(ep.slot)
	s := &d.slots[i]
	ep.slot = -1
	s.ep, s.held, s.ended = nil, nil, nil
	if s.sending == nil && ep.pending() > 0 && !ep.hung {
		// The kernel reads them in order: the send comes before the cancel.
		s.sending = ep.out[ep.sent:]
		d.r.Send(int(s.fd), s.sending, d.submitted(i, ringSend), unix.MSG_DONTWAIT)
	} else if s.sending == nil && ep.out != nil {
		d.spare(ep.out)
	}
	ep.out, ep.sent, ep.fd = nil, 0, -1
	d.leave(i)
}

// leave takes back what is in flight and finishes the slot when nothing is.
func (d *ring) leave(i uint32) {
	if s := &d.slots[i]; s.flying > 0 {
		d.r.CancelFD(int(s.fd), d.submitted(i, ringCancel))
		return
	}
	d.vacate(i)
}

// vacate ends a slot that no request refers to.
func (d *ring) vacate(i uint32) {
	s := &d.slots[i]
	left := s.left
	if left == nil {
		unix.Close(int(s.fd))
	}
	*s = ringSlot{gen: s.gen, fd: -1}
	d.free = append(d.free, i)
	if left != nil {
		left()
	}
}

// release gives the socket up without closing it. What came meanwhile goes
// with the endpoint.
func (d *ring) release(ep *endpoint, done func()) {
	i := uint32(ep.slot)
	s := &d.slots[i]
	s.left = func() {
		ep.slot = -1
		done()
	}
	d.part(i)
}

// part goes on with a release: bytes to be sent first, then the requests.
func (d *ring) part(i uint32) {
	s := &d.slots[i]
	if s.ep.pending() > 0 && !s.ep.hung {
		d.wants(i)
		return
	}
	ep := s.ep
	ep.in = append(ep.in, s.held...)
	s.ep, s.held = nil, nil
	d.leave(i)
}

func (d *ring) turn(wait int64) error {
	d.flush()
	if len(d.due) > 0 {
		wait = 0
	}
	if len(d.again) > 0 {
		if wait < 0 || wait > int64(acceptPause) {
			wait = int64(acceptPause)
		}
		d.acceptAgain()
	}
	if err := d.r.SubmitAndWait(1, time.Duration(wait)); err != nil {
		return err
	}
	for c, ok := d.r.Next(); ok; c, ok = d.r.Next() {
		d.completed(c)
	}
	d.deliver()
	return nil
}

func (d *ring) completed(c uring.CQE) {
	kind, i := uint32(c.UserData>>56), uint32(c.UserData)
	if kind == ringWake {
		if !c.More() {
			d.r.PollMultishot(d.wakeFD, unix.POLLIN, ringData(ringWake, 0, 0))
		}
		d.sink.woken()
		return
	}
	s := &d.slots[i]
	if !c.More() {
		s.flying--
	}
	switch kind {
	case ringRecv:
		d.received(i, c)
	case ringSend:
		d.sent(i, c)
	case ringPoll:
		s.polled = false
		if s.ep != nil && !s.armed && c.Res > 0 { // else the receive will bring it, behind the last bytes
			d.end(i, io.EOF)
		}
	case ringAccept:
		d.accepted(i, c)
	}
	if s = &d.slots[i]; s.ep == nil && s.flying == 0 && s.fd >= 0 {
		d.vacate(i)
	}
}

// received takes a piece, and what its being the last one means.
func (d *ring) received(i uint32, c uring.CQE) {
	s := &d.slots[i]
	if !c.More() {
		s.armed = false
	}
	if c.HasBuffer() {
		d.piece(i, d.r.Buffer(c.BufferID(), c.Res))
		d.r.Recycle(c.BufferID())
		s = &d.slots[i] // the callback may have added slots
	}
	if s.ep == nil || c.More() {
		return
	}
	switch errno := c.Errno(); {
	case c.Res > 0, errno == unix.ENOBUFS, errno == unix.EINTR, errno == unix.EAGAIN:
		s.single = s.single && c.Res == ringBuffer
		if s.ep.stops == 0 {
			d.receive(i)
		} else if len(s.held) < mostHeld && !s.single {
			d.receive(i) // most pauses are short
		} else {
			d.listen(i)
		}
	case errno == unix.ECANCELED:
		if s.ep.stops == 0 && len(s.held) == 0 {
			d.receive(i)
		} else {
			d.listen(i)
		}
	case c.Res == 0:
		d.end(i, io.EOF)
	default:
		d.end(i, errno)
	}
}

// piece gives bytes to the loop, or keeps them while the endpoint is stopped.
func (d *ring) piece(i uint32, b []byte) {
	s := &d.slots[i]
	switch {
	case s.ep == nil || len(b) == 0 || d.ending:
	case s.ep.stops != 0 || len(s.held) > 0 || s.left != nil:
		s.held = append(s.held, b...)
		if len(s.held) >= mostHeld && s.armed && !s.single {
			s.single = true
			d.r.CancelUserData(ringData(ringRecv, s.gen, i), d.submitted(i, ringCancel))
		}
	default:
		d.sink.received(s.ep, b)
	}
}

// listen hears the peer's end on behalf of an endpoint that is not received from.
func (d *ring) listen(i uint32) {
	if s := &d.slots[i]; !s.polled && !s.over && s.ep.role == roleClient {
		s.polled = true
		d.r.PollAdd(int(s.fd), unix.POLLRDHUP, d.submitted(i, ringPoll))
	}
}

// end tells once that the peer has gone: at once, or behind a server's words
// that its client could not take yet.
func (d *ring) end(i uint32, err error) {
	s := &d.slots[i]
	if s.over || s.ep == nil || d.ending {
		return
	}
	s.over = true
	if s.ep.role == roleServer && len(s.held) > 0 {
		s.ended = err
		return
	}
	s.ep.hung = true
	d.sink.hungUp(s.ep, err)
}

// sent takes the answer to a send.
func (d *ring) sent(i uint32, c uring.CQE) {
	s := &d.slots[i]
	ep, read := s.ep, s.outgrown // what the kernel has read
	if read == nil && ep == nil {
		read = s.sending
	}
	s.sending, s.outgrown = nil, nil
	d.spare(read)
	if ep == nil {
		return
	}
	if c.Res < 0 {
		if errno := c.Errno(); errno == unix.EINTR || errno == unix.EAGAIN {
			d.wants(i)
			return
		}
		d.broken(i, c.Errno())
		return
	}
	ep.sent += int(c.Res)
	switch ep.pending() {
	case 0:
		d.spare(ep.out)
		ep.out, ep.sent = nil, 0
	default:
		d.wants(i)
	}
	if ep.pending() < lowWater {
		d.sink.drained(ep)
	}
	if s = &d.slots[i]; s.ep == ep && s.left != nil && ep.pending() == 0 {
		d.part(i)
	}
}

// broken is the end of a socket that takes nothing more.
func (d *ring) broken(i uint32, errno syscall.Errno) {
	ep := d.slots[i].ep
	ep.hung = true
	ep.out, ep.sent = nil, 0
	d.sink.drained(ep)
	if !ep.closed {
		d.slots[i].held = nil
		d.end(i, errno)
	}
}

func (d *ring) accepted(i uint32, c uring.CQE) {
	s := &d.slots[i]
	if !c.More() {
		s.armed = false
	}
	if c.Res >= 0 {
		if s.ep == nil || d.ending {
			unix.Close(int(c.Res))
			return
		}
		d.sink.accepted(s.ep, int(c.Res))
		s = &d.slots[i]
	}
	if s.ep == nil || c.More() {
		return
	}
	switch errno := c.Errno(); errno {
	case 0, unix.ECONNABORTED, unix.EINTR, unix.EAGAIN, unix.EPROTO:
		d.receive(i)
	case unix.ECANCELED:
	default: // no descriptors, no memory
		d.sink.hungUp(s.ep, errno)
		d.again = append(d.again, i)
		d.rearm = time.Now().Add(acceptPause)
	}
}

func (d *ring) acceptAgain() {
	if time.Now().Before(d.rearm) {
		return
	}
	for _, i := range d.again {
		if s := &d.slots[i]; s.ep != nil && s.ep.role == roleListener {
			d.receive(i)
		}
	}
	d.again = d.again[:0]
}

// deliver gives held bytes to endpoints that may be read again, and behind
// them the end. Those that resume meanwhile are for the next turn.
func (d *ring) deliver() {
	list := d.due
	d.due = nil
	for _, i := range list {
		s := &d.slots[i]
		s.listed = false
		if s.ep == nil || s.ep.stops != 0 {
			continue
		}
		ep, held := s.ep, s.held
		s.held = nil
		if len(held) > 0 {
			d.sink.received(ep, held)
		}
		if s = &d.slots[i]; s.ep != ep {
			continue
		}
		if err := s.ended; err != nil {
			s.ended = nil
			ep.hung = true
			d.sink.hungUp(ep, err)
			continue
		}
		if ep.stops == 0 {
			d.receive(i)
		}
	}
	if d.due == nil {
		d.due = list[:0]
	}
}

func (d *ring) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(d.wakeFD, one[:])
}

// close sends what is still to be sent, for a moment, and ends the ring.
func (d *ring) close() {
	d.ending = true
	deadline := time.Now().Add(lastWords)
	for d.speaking() && time.Now().Before(deadline) {
		if d.turn(int64(10*time.Millisecond)) != nil {
			break
		}
	}
	_ = d.r.Close()
	for i := range d.slots {
		if s := &d.slots[i]; s.fd >= 0 && (s.ep != nil || s.flying > 0) {
			unix.Close(int(s.fd))
		}
	}
	unix.Close(d.wakeFD)
}

// speaking tells whether anything is on its way out.
func (d *ring) speaking() bool {
	for i := range d.slots {
		if s := &d.slots[i]; s.sending != nil || s.ep != nil && s.ep.pending() > 0 {
			return true
		}
	}
	return false
}
