package proxy

import (
	"time"

	"golang.org/x/sys/unix"

	"spillway/internal/uring"
)

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
