package proxy

import (
	"errors"
	"fmt"
	"io"
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
	spares spares
	idle   []*ringWork // for slots that get something to do
	rearm  time.Time
	bustle bustle
	breath breath
	pieces int  // events of this turn but for the ends of sends
	ending bool // the loop is over: nothing is delivered any more
}

// ringSlot is what the kernel may know an endpoint by. It outlives the endpoint
// until the last request is answered.
type ringSlot struct {
	ep        *endpoint // nil once removed
	fd        int32
	gen       uint32
	flying    int32 // requests in flight
	armed     bool  // a receive (or accept) is one of them
	polled    bool  // a poll for the peer's end is one of them
	single    bool  // received one buffer at a time: a long stream that pauses
	waiting   bool  // on dirty
	listed    bool  // on due
	full      bool  // a send found no room: the next waits for it
	over      bool  // the peer's end was seen
	*ringWork       // noWork, or lent while there is something in it
}

// ringWork is what a slot has besides while bytes are on their way: most clients
// of most poolers are idle.
type ringWork struct {
	sending  []byte // what the kernel reads
	outgrown []byte // what sending is part of, if ep.out is another by now
	held     []byte // received while the endpoint was stopped
	ended    error  // the peer's end, not told yet
	left     func() // release: called instead of closing
}

// noWork is of slots that have none; it is only read.
var noWork ringWork

// work is the slot's own, to be written to.
func (d *ring) work(s *ringSlot) *ringWork {
	if s.ringWork != &noWork {
		return s.ringWork
	}
	if n := len(d.idle) - 1; n >= 0 {
		s.ringWork, d.idle = d.idle[n], d.idle[:n]
	} else {
		s.ringWork = new(ringWork)
	}
	return s.ringWork
}

// rest takes a slot's work back when nothing is left in it.
func (d *ring) rest(s *ringSlot) {
	w := s.ringWork
	if w == &noWork || w.sending != nil || w.outgrown != nil || w.held != nil || w.ended != nil || w.left != nil {
		return
	}
	s.ringWork = &noWork
	if len(d.idle) < mostSmall {
		d.idle = append(d.idle, w)
	}
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
	// ringBuffers × ringBuffer stay near the size of a second-level cache. Larger
	// pieces fill what is held of a stopped stream before its receive is taken back.
	ringBuffers = 128
	ringBuffer  = 16 << 10
	// mostHeld is how much a stopped endpoint's receive may still bring before
	// it is taken back.
	mostHeld = 64 << 10
	// directSend is from where on a system call costs less than a copy.
	directSend = 16 << 10
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
		d.slots = append(d.slots, ringSlot{ringWork: &noWork})
	}
	s := &d.slots[i]
	*s = ringSlot{ep: ep, fd: ep.fd, gen: s.gen + 1, ringWork: &noWork}
	ep.slot = int32(i)
	d.receive(i)
	if ep.pending() > 0 {
		d.wants(i)
	}
	return nil
}

func (d *ring) turn(wait int64) error {
	sparse := d.bustle.sparse()
	sends := d.flush(sparse)
	if len(d.due) > 0 {
		wait = 0
	}
	if len(d.again) > 0 {
		if wait < 0 || wait > int64(acceptPause) {
			wait = int64(acceptPause)
		}
		d.acceptAgain()
	}
	await := d.r.SubmitAndWait
	if sparse {
		d.breath.take()
		await = d.r.SubmitAndSleep
	}
	if err := await(1+sends, time.Duration(wait)); err != nil {
		return err
	}
	d.pieces = 0
	for c, ok := d.r.Next(); ok; c, ok = d.r.Next() {
		d.completed(c)
	}
	d.bustle.add(d.pieces)
	d.deliver()
	return nil
}

func (d *ring) completed(c uring.CQE) {
	kind, i := uint32(c.UserData>>56), uint32(c.UserData)
	if kind != ringSend {
		d.pieces++
	}
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
