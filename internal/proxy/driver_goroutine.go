package proxy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// goroutines is the plain driver: a goroutine waits for each socket by the
// runtime's own means, and the loop handles what it brings. It asks nothing of
// the kernel that Go does not, and is what the others are compared with.
type goroutines struct {
	sink    sink
	porters []*porter // by endpoint.slot
	free    []int32
	due     []*porter // may be read again and hold something
	spare   []*porter
	timer   *time.Timer
	bell    chan struct{}

	mu    sync.Mutex // guards queue
	queue []tiding
	taken []tiding
}

// porter carries for one endpoint. Its goroutines touch only file, raw and next.
type porter struct {
	ep      *endpoint // nil once it is removed
	file    *os.File
	raw     syscall.RawConn
	next    chan struct{} // asks the reader for one piece more
	reading bool          // it was asked and has not answered
	held    []byte        // came while the endpoint was stopped
	ended   error         // a server's end, behind what is held
	over    bool
	listed  bool
	writing []byte // at the writer; still counted in ep.out
	left    func() // of a release under way
}

// tiding is what a goroutine brings.
type tiding struct {
	from   *porter
	wrote  bool   // the writer's: n and err
	rested bool   // a listener's pause is over
	piece  []byte // the reader's, from pieces
	fd     int    // accepted, when the endpoint is a listener
	n      int
	err    error
}

// pieces are the buffers of readers; one is taken when there is something to read.
var pieces = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

func newGoroutine(s sink) (driver, error) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &goroutines{sink: s, timer: timer, bell: make(chan struct{}, 1)}, nil
}

func (d *goroutines) name() string { return "goroutine" }

func (d *goroutines) add(ep *endpoint) error {
	file := os.NewFile(uintptr(ep.fd), "socket") // waits through the runtime's poller: the socket does not block
	if file == nil {
		return fmt.Errorf("watch socket: %w", unix.EBADF)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	p := &porter{ep: ep, file: file, raw: raw, next: make(chan struct{}, 1)}
	if n := len(d.free); n > 0 {
		ep.slot, d.free = d.free[n-1], d.free[:n-1]
		d.porters[ep.slot] = p
	} else {
		ep.slot = int32(len(d.porters))
		d.porters = append(d.porters, p)
	}
	if ep.role == roleListener {
		go d.accepts(p)
	} else {
		go d.reads(p)
	}
	d.ask(p)
	d.write(p) // said before it was added
	return nil
}

// ask has the goroutine bring one more.
func (d *goroutines) ask(p *porter) {
	if !p.reading && !p.over {
		p.reading = true
		p.next <- struct{}{}
	}
}

// reads brings a piece each time it is asked, until the socket ends.
func (d *goroutines) reads(p *porter) {
	for range p.next {
		var piece *[]byte
		n, failed := 0, error(nil)
		err := p.raw.Read(func(fd uintptr) bool {
			if piece == nil {
				piece = pieces.Get().(*[]byte)
			}
			n, failed = again(func() (int, error) { return unix.Read(int(fd), *piece) })
			if errors.Is(failed, unix.EAGAIN) {
				pieces.Put(piece)
				piece = nil
				return false
			}
			return true
		})
		if err == nil {
			err = failed
		}
		if err == nil && n == 0 {
			err = io.EOF
		}
		t := tiding{from: p, err: err}
		if n > 0 {
			t.piece = (*piece)[:n]
		}
		d.tell(t)
	}
}

// accepts brings a client each time it is asked.
func (d *goroutines) accepts(p *porter) {
	for range p.next {
		fd, failed := -1, error(nil)
		err := p.raw.Read(func(at uintptr) bool {
			fd, failed = again(func() (int, error) { return acceptOne(int(at)) })
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err == nil {
			err = failed
		}
		d.tell(tiding{from: p, fd: fd, err: err})
	}
}

// writes brings the rest of what a socket had no room for.
func (d *goroutines) writes(p *porter, b []byte) {
	done, failed := 0, error(nil)
	err := p.raw.Write(func(fd uintptr) bool {
		for done < len(b) {
			n, err := again(func() (int, error) { return unix.Write(int(fd), b[done:]) })
			if errors.Is(err, unix.EAGAIN) {
				return false
			}
			if err != nil {
				failed = err
				return true
			}
			done += n
		}
		return true
	})
	if err == nil {
		err = failed
	}
	d.tell(tiding{from: p, wrote: true, n: done, err: err})
}

// again repeats what a signal has interrupted, and an accept whose client has
// gone meanwhile.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ECONNABORTED) {
			return n, err
		}
	}
}

func (d *goroutines) tell(t tiding) {
	d.mu.Lock()
	d.queue = append(d.queue, t)
	d.mu.Unlock()
	d.wake()
}

func (d *goroutines) wake() {
	select {
	case d.bell <- struct{}{}:
	default: // it rings already
	}
}

func (d *goroutines) turn(wait int64) error {
	if len(d.due) > 0 {
		wait = 0
	}
	d.rest(wait)
	d.mu.Lock()
	list := d.queue
	d.queue, d.taken = d.taken[:0], list
	d.mu.Unlock()
	for i := range list {
		d.heard(&list[i])
		list[i] = tiding{}
	}
	due := d.due
	d.due, d.spare = d.spare[:0], due
	for _, p := range due {
		p.listed = false
		d.deliver(p)
	}
	d.sink.woken()
	return nil
}

// rest waits for the bell, for up to wait nanoseconds (<0: for ever).
func (d *goroutines) rest(wait int64) {
	switch {
	case wait == 0:
		select {
		case <-d.bell:
		default:
		}
	case wait < 0:
		<-d.bell
	default:
		d.timer.Reset(time.Duration(wait))
		select {
		case <-d.bell:
			d.timer.Stop()
		case <-d.timer.C:
		}
	}
}

func (d *goroutines) heard(t *tiding) {
	p := t.from
	switch {
	case t.rested:
		d.ask(p)
	case t.wrote:
		d.wrote(p, t.n, t.err)
	case p.ep != nil && p.ep.role == roleListener:
		d.accepted(p, t)
	case p.ep == nil && t.piece == nil:
		if t.err == nil {
			closeFD(t.fd) // accepted by a listener that is gone
		}
	default:
		d.brought(p, t)
	}
	if p.left != nil {
		d.depart(p)
	}
}

func (d *goroutines) accepted(p *porter, t *tiding) {
	p.reading = false
	switch {
	case t.err == nil:
		d.sink.accepted(p.ep, t.fd)
	case errors.Is(t.err, os.ErrClosed):
		return
	default:
		d.sink.hungUp(p.ep, t.err)
		// Files have run out: those that end make room.
		time.AfterFunc(acceptPause, func() { d.tell(tiding{from: p, rested: true}) })
		return
	}
	if p.ep != nil {
		d.ask(p)
	}
}

// brought takes what the reader read. While its endpoint is stopped some is
// kept, so that the peer's end is heard behind it.
func (d *goroutines) brought(p *porter, t *tiding) {
	p.reading = false
	if t.piece != nil {
		if ep := p.ep; ep != nil {
			if ep.stops != 0 || len(p.held) > 0 || p.left != nil {
				p.held = append(p.held, t.piece...)
			} else {
				d.sink.received(ep, t.piece)
			}
		}
		piece := t.piece[:cap(t.piece)]
		pieces.Put(&piece)
	}
	switch {
	case p.ep == nil || p.left != nil:
	case t.err != nil:
		d.end(p, t.err)
	case p.ep.stops == 0 || len(p.held) < mostHeld:
		d.ask(p)
	}
}

// end tells once that the peer has gone: at once, or behind a server's words
// that its client could not take yet.
func (d *goroutines) end(p *porter, err error) {
	if p.over || p.ep == nil {
		return
	}
	p.over = true
	if p.ep.role == roleServer && len(p.held) > 0 {
		p.ended = err
		return
	}
	p.ep.hung = true
	d.sink.hungUp(p.ep, err)
}

func (d *goroutines) resume(ep *endpoint) {
	if ep.closed || ep.slot < 0 {
		return
	}
	p := d.porters[ep.slot]
	if len(p.held) == 0 && p.ended == nil {
		d.ask(p)
	} else if !p.listed {
		p.listed = true
		d.due = append(d.due, p)
	}
}

// deliver gives what was held to an endpoint that may be read again, and
// behind it the end.
func (d *goroutines) deliver(p *porter) {
	ep := p.ep
	if ep == nil || ep.stops != 0 {
		return
	}
	if held := p.held; len(held) > 0 {
		p.held = nil
		d.sink.received(ep, held)
	}
	if p.ep != ep {
		return
	}
	if err := p.ended; err != nil {
		p.ended = nil
		ep.hung = true
		d.sink.hungUp(ep, err)
		return
	}
	if ep.stops == 0 {
		d.ask(p)
	}
}

// send writes what the socket has room for and leaves the rest to a goroutine.
func (d *goroutines) send(ep *endpoint, b []byte) {
	if ep.closed || len(b) == 0 {
		return
	}
	for ep.pending() == 0 && len(b) > 0 {
		n, err := again(func() (int, error) { return unix.Write(int(ep.fd), b) })
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			ep.hung = true // the reader hears of it
			return
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return
	}
	ep.keep(b)
	if ep.slot >= 0 {
		d.write(d.porters[ep.slot])
	}
}

// keep puts b behind what waits to be sent.
func (ep *endpoint) keep(b []byte) {
	if ep.sent > 0 && ep.sent*2 >= len(ep.out) {
		ep.out = ep.out[:copy(ep.out, ep.out[ep.sent:])]
		ep.sent = 0
	}
	ep.out = append(ep.out, b...)
}

// write hands a copy to the writer: what comes meanwhile may move ep.out.
func (d *goroutines) write(p *porter) {
	if p.writing == nil && p.ep.pending() > 0 && !p.ep.hung {
		p.writing = append([]byte(nil), p.ep.out[p.ep.sent:]...)
		go d.writes(p, p.writing)
	}
}

func (d *goroutines) wrote(p *porter, n int, err error) {
	p.writing = nil
	ep := p.ep
	if ep == nil {
		return
	}
	if err != nil {
		ep.hung = true
		ep.out, ep.sent = nil, 0
		d.sink.drained(ep)
		if !ep.closed {
			p.held = nil
			d.end(p, err)
		}
		return
	}
	if ep.sent += n; ep.pending() == 0 {
		ep.out, ep.sent = nil, 0
	}
	d.write(p)
	if ep.pending() < lowWater {
		d.sink.drained(ep)
	}
}

func (d *goroutines) remove(ep *endpoint) {
	if ep.slot < 0 {
		closeFD(int(ep.fd))
		ep.fd = -1
		return
	}
	p := d.forget(ep)
	ep.fd = -1
	_ = p.file.Close() // its goroutines hear of it
}

// forget takes the endpoint off its porter, whose goroutines end.
func (d *goroutines) forget(ep *endpoint) *porter {
	p := d.porters[ep.slot]
	d.porters[ep.slot] = nil
	d.free = append(d.free, ep.slot)
	ep.slot = -1
	p.ep, p.held, p.ended, p.over = nil, nil, nil, true
	close(p.next)
	return p
}

// release stops the reader, then gives the socket up. What came meanwhile goes
// with the endpoint.
func (d *goroutines) release(ep *endpoint, done func()) {
	p := d.porters[ep.slot]
	p.left = done
	_ = p.file.SetReadDeadline(time.Unix(1, 0))
	d.depart(p)
}

func (d *goroutines) depart(p *porter) {
	ep := p.ep
	if ep == nil || p.reading || p.writing != nil {
		return
	}
	done := p.left
	p.left = nil
	fd, err := unix.FcntlInt(uintptr(ep.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		ep.hung = true
		d.sink.hungUp(ep, fmt.Errorf("move socket: %w", err))
		return
	}
	ep.in = append(ep.in, p.held...)
	_ = d.forget(ep).file.Close()
	ep.fd = int32(fd)
	done()
}

func (d *goroutines) close() {
	for _, p := range d.porters {
		if p != nil && p.ep != nil {
			_ = p.file.Close()
			close(p.next)
		}
	}
	d.timer.Stop()
}
