package uring

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testDriver is a driver by the rules of doc.go, in small: it echoes on every connection, pauses the receive while the peer does not
// read, and closes at the end of the stream once all is sent.
type testDriver struct {
	t         testing.TB
	r         *Ring
	listener  int
	wakeFD    int
	endpoints []*testEndpoint // by slot
	free      []uint32
	open      int
	counts    struct{ accepted, stale, pauses, held, cancels, ends, starved, shorts int }
}

type testEndpoint struct {
	fd             int
	slot           uint32
	generation     uint64 // 24 bits
	inFlight       int
	armed          bool // a receive is in flight
	paused         bool
	once           bool // receive buffer by buffer
	cancelling     bool
	watching       bool // for the peer's end, while there is no receive
	endHeard       bool // by watching: it would say so again at once
	ended          bool // the peer's end or failure has come
	failed         bool
	closing        bool
	held           []byte // received while paused
	filling        []byte
	sending, whole []byte // in flight: what is left of whole
}

const (
	kindRecv uint64 = iota + 1
	kindSend
	kindCancel
	kindWatch
	kindAccept
	kindWake

	// heldMost is what a paused endpoint may hold before its receive is cancelled.
	heldMost  = 2 << 10
	highWater = 32 << 10
	lowWater  = 8 << 10
)

func (e *testEndpoint) data(kind uint64) uint64 { return kind<<56 | e.generation<<32 | uint64(e.slot) }

func (d *testDriver) turn() {
	if err := d.r.SubmitAndWait(1, 100*time.Millisecond); err != nil {
		d.t.Fatal(err)
	}
	for c, ok := d.r.Next(); ok; c, ok = d.r.Next() {
		switch kind := c.UserData >> 56; kind {
		case kindAccept:
			d.accepted(c)
		case kindWake:
			if !c.More() { // the completion queue was full
				d.r.PollMultishot(d.wakeFD, unix.POLLIN, c.UserData)
			}
		default:
			d.completed(kind, c)
		}
	}
	if d.r.Lent() != 0 {
		d.t.Fatalf("%d buffers lent beyond their callbacks", d.r.Lent())
	}
}

func (d *testDriver) accepted(c CQE) {
	if c.Res < 0 {
		d.t.Fatalf("accept: %+v (%v)", c, c.Errno())
	}
	if !c.More() { // the completion queue was full
		d.r.AcceptMultishot(d.listener, c.UserData)
	}
	d.counts.accepted++
	d.open++
	if len(d.free) == 0 {
		d.free = append(d.free, uint32(len(d.endpoints)))
		d.endpoints = append(d.endpoints, &testEndpoint{})
	}
	slot := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	e := d.endpoints[slot]
	*e = testEndpoint{fd: int(c.Res), slot: slot, generation: e.generation}
	// Short sends are likelier with a small buffer.
	if err := unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 8<<10); err != nil {
		d.t.Fatal(err)
	}
	d.arm(e)
}

func (d *testDriver) arm(e *testEndpoint) {
	if e.armed || e.paused || e.ended || e.closing {
		return
	}
	e.armed = true
	e.inFlight++
	if e.once {
		d.r.Recv(e.fd, e.data(kindRecv))
	} else {
		d.r.RecvMultishot(e.fd, e.data(kindRecv))
	}
}

func (d *testDriver) completed(kind uint64, c CQE) {
	e := d.endpoints[uint32(c.UserData)]
	if c.UserData>>32&0xffffff != e.generation {
		d.counts.stale++
		d.t.Errorf("stale completion %+v", c)
		return
	}
	if !c.More() {
		e.inFlight--
	}
	switch kind {
	case kindRecv:
		d.received(e, c)
	case kindSend:
		d.sent(e, c)
	case kindCancel:
		e.cancelling = false
	case kindWatch:
		e.watching = false
		if c.Res > 0 {
			e.endHeard = true
			d.counts.ends++ // a pooler would let a waiting client leave the queue here
		}
	}
	d.settle(e)
}

func (d *testDriver) received(e *testEndpoint, c CQE) {
	if !c.More() {
		e.armed = false
	}
	if c.HasBuffer() {
		piece := d.r.Buffer(c.BufferID(), max(c.Res, 0))
		switch {
		case e.closing:
		case e.paused:
			d.counts.held++
			e.held = append(e.held, piece...)
		default:
			e.filling = append(e.filling, piece...)
		}
		if !e.cancelling && len(piece) < d.r.bufs.size {
			e.once = false
		}
		d.r.Recycle(c.BufferID())
	}
	switch errno := c.Errno(); {
	case c.Res > 0, errno == unix.ECANCELED:
	case errno == unix.ENOBUFS:
		d.counts.starved++
	default:
		e.ended, e.failed = true, c.Res < 0
	}
}

func (d *testDriver) sent(e *testEndpoint, c CQE) {
	if c.Res <= 0 {
		e.ended, e.failed = true, true
		e.sending = nil
		return
	}
	e.sending = e.sending[c.Res:]
	if len(e.sending) > 0 {
		d.counts.shorts++
		d.send(e)
	}
}

func (d *testDriver) send(e *testEndpoint) {
	flags := SendAll
	if e.slot%2 == 1 {
		flags = 0 // short sends are ours to finish
	}
	e.inFlight++
	d.r.Send(e.fd, e.sending, e.data(kindSend), flags)
}

// settle does what the endpoint's state asks for after a completion.
func (d *testDriver) settle(e *testEndpoint) {
	d.backPressure(e)
	if len(e.sending) == 0 && len(e.filling) > 0 && !e.closing && !e.failed {
		e.whole, e.filling = e.filling, e.whole[:0]
		e.sending = e.whole
		d.send(e)
	}
	if e.ended && (e.failed || len(e.sending)+len(e.filling)+len(e.held) == 0) {
		e.closing = true
	}
	if e.closing {
		d.close(e)
	} else {
		d.arm(e)
	}
}

func (d *testDriver) backPressure(e *testEndpoint) {
	switch waiting := len(e.sending) + len(e.filling); {
	case waiting > highWater && !e.paused:
		e.paused = true
		d.counts.pauses++
	case waiting < lowWater && e.paused:
		// What was held comes first; then what the old receive still delivers, if it is there; then what the next one does.
		e.paused = false
		e.filling, e.held = append(e.filling, e.held...), nil
	}
	switch {
	case !e.paused || e.closing:
	case e.armed && !e.once && !e.cancelling && len(e.held) > heldMost:
		e.cancelling, e.once = true, true
		e.inFlight++
		d.counts.cancels++
		d.r.CancelUserData(e.data(kindRecv), e.data(kindCancel))
	case !e.armed && !e.ended && !e.endHeard && !e.watching:
		e.watching = true
		e.inFlight++
		d.r.PollAdd(e.fd, unix.POLLRDHUP, e.data(kindWatch))
	}
}

func (d *testDriver) close(e *testEndpoint) {
	if e.inFlight > 0 {
		if !e.cancelling {
			e.cancelling = true
			e.inFlight++
			d.r.CancelFD(e.fd, e.data(kindCancel))
		}
		return
	}
	if err := unix.Close(e.fd); err != nil {
		d.t.Error(err)
	}
	*e = testEndpoint{slot: e.slot, generation: (e.generation + 1) & 0xffffff}
	d.free = append(d.free, e.slot)
	d.open--
}
