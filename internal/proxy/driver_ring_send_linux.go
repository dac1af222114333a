package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"

	"spillway/internal/uring"
)

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
	if len(b) >= directSend && s.sending == nil && ep.pending() == 0 {
		if b = b[direct(ep, b):]; len(b) == 0 {
			return
		}
	}
	switch {
	case ep.out == nil:
		ep.out = d.spares.take(0)
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

// direct writes what the socket takes at once and returns how much that is. A
// failure is met again, and told, by the send of what is left.
func direct(ep *endpoint, b []byte) int {
	n, errno := rawWrite(int(ep.fd), b)
	if errno != 0 {
		return 0
	}
	return n
}

// grow gives an endpoint a buffer with room for more bytes. A send in flight
// reads the old one to its end; it is kept for others afterwards.
func (d *ring) grow(s *ringSlot, more int) {
	ep := s.ep
	old, waiting := ep.out, ep.out[ep.sent:]
	next := d.spares.take(2 * (len(waiting) + more))
	ep.out, ep.sent = append(next, waiting...), 0
	switch {
	case s.sending == nil:
		d.spares.give(old)
	case s.outgrown == nil:
		s.outgrown = old // beside sending
	default: // the kernel reads an earlier one
		d.spares.give(old)
	}
}

// flush submits one send for each endpoint that has bytes and none in flight.
// At once are those that are over when they are submitted, if now is asked for:
// all but those that must wait for room.
func (d *ring) flush(now bool) (atOnce int) {
	for _, i := range d.dirty {
		s := &d.slots[i]
		s.waiting = false
		if s.ep == nil || s.sending != nil || s.ep.pending() == 0 {
			continue
		}
		d.work(s).sending = s.ep.out[s.ep.sent:]
		how := uring.SendAll
		if now && !s.full {
			how = uring.SendNow
			atOnce++
		}
		d.r.Send(int(s.fd), s.sending, d.submitted(i, ringSend), how)
	}
	d.dirty = d.dirty[:0]
	return atOnce
}

// sent takes the answer to a send.
func (d *ring) sent(i uint32, c uring.CQE) {
	s := &d.slots[i]
	ep, read := s.ep, s.outgrown // what the kernel has read
	if read == nil && ep == nil {
		read = s.sending
	}
	if s.sending != nil {
		s.sending, s.outgrown = nil, nil
		d.rest(s)
	}
	d.spares.give(read)
	if ep == nil {
		return
	}
	if c.Res < 0 {
		if errno := c.Errno(); errno == unix.EINTR || errno == unix.EAGAIN {
			s.full = errno == unix.EAGAIN
			d.wants(i)
			return
		}
		d.broken(i, c.Errno())
		return
	}
	ep.sent += int(c.Res)
	s.full = ep.pending() > 0
	switch ep.pending() {
	case 0:
		d.spares.give(ep.out)
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
	d.spares.give(ep.out)
	ep.out, ep.sent = nil, 0
	d.sink.drained(ep)
	if !ep.closed {
		d.drop(&d.slots[i])
		d.end(i, errno)
	}
}
