package proxy

import (
	"io"

	"golang.org/x/sys/unix"

	"spillway/internal/uring"
)

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
		d.hold(s, b)
		if len(s.held) >= mostHeld && s.armed && !s.single {
			s.single = true
			d.r.CancelUserData(ringData(ringRecv, s.gen, i), d.submitted(i, ringCancel))
		}
	default:
		d.sink.received(s.ep, b)
	}
}

// hold keeps bytes of a stopped endpoint.
func (d *ring) hold(s *ringSlot, b []byte) {
	if n := len(s.held) + len(b); n > cap(s.held) {
		old := s.held
		d.work(s).held = append(d.spares.take(2*n), old...)
		d.spares.give(old)
	}
	s.held = append(s.held, b...)
}

// drop forgets what is held.
func (d *ring) drop(s *ringSlot) {
	if s.held != nil {
		d.spares.give(s.held)
		s.held = nil
		d.rest(s)
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
		d.work(s).ended = err
		return
	}
	s.ep.hung = true
	d.sink.hungUp(s.ep, err)
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
		if held != nil {
			s.held = nil
			d.rest(s)
		}
		if len(held) > 0 {
			d.sink.received(ep, held)
			d.spares.give(held)
		}
		if s = &d.slots[i]; s.ep != ep {
			continue
		}
		if err := s.ended; err != nil {
			s.ended = nil
			d.rest(s)
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
