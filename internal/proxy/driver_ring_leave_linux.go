package proxy

import "golang.org/x/sys/unix"

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
	d.drop(s)
	if s.ep = nil; s.ended != nil {
		d.work(s).ended = nil
	}
	if s.sending == nil && ep.pending() > 0 && !ep.hung {
		// The kernel reads them in order: the send comes before the cancel.
		d.work(s).sending = ep.out[ep.sent:]
		d.r.Send(int(s.fd), s.sending, d.submitted(i, ringSend), unix.MSG_DONTWAIT)
	} else if s.sending == nil && ep.out != nil {
		d.spares.give(ep.out)
	}
	ep.out, ep.sent, ep.fd = nil, 0, -1
	d.rest(s)
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
	*s = ringSlot{gen: s.gen, fd: -1, ringWork: &noWork}
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
	d.work(s).left = func() {
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
	d.drop(s)
	s.ep = nil
	d.leave(i)
}
