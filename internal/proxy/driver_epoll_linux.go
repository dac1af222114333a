package proxy

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll is the driver for every Linux: edge-triggered, registered once for
// both directions; it writes first and waits for room only on EAGAIN.
type epoll struct {
	sink   sink
	fd     int
	wakeFD int
	events [256]unix.EpollEvent
	ends   []*endpoint // by the index in the event
	free   []int32
	ready  []*endpoint // readable without a further edge
	spare  []*endpoint
	buf    []byte
	births int32       // tells an index's endpoint from its predecessor
	full   []*endpoint // listeners that rest, for want of a descriptor
	spares spares
	bustle bustle
	breath breath
	dirty  []*endpoint // have bytes to send at the turn's end
}

const (
	epollEdges = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	wakeIndex  = -1
	// readsPerTurn bounds how long one busy endpoint keeps others waiting.
	readsPerTurn = 4
	// gathered is up to where bytes are worth a copy to be sent with others.
	gathered = 4 << 10
)

func newEpoll(s sink) (driver, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeIndex}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, wake, &ev); err != nil {
		unix.Close(wake)
		unix.Close(fd)
		return nil, fmt.Errorf("watch eventfd: %w", err)
	}
	return &epoll{sink: s, fd: fd, wakeFD: wake, buf: make([]byte, readSize)}, nil
}

func (d *epoll) name() string { return "epoll" }

func (d *epoll) add(ep *endpoint) error {
	var slot int32
	if n := len(d.free); n > 0 {
		slot, d.free = d.free[n-1], d.free[:n-1]
		d.ends[slot] = ep
	} else {
		slot = int32(len(d.ends))
		d.ends = append(d.ends, ep)
	}
	events := uint32(epollEdges)
	if ep.role == roleListener {
		events = unix.EPOLLIN // level: accepted a few at a time
	}
	d.births++
	ep.birth = d.births
	ev := unix.EpollEvent{Events: events, Fd: slot, Pad: ep.birth}
	if err := unix.EpollCtl(d.fd, unix.EPOLL_CTL_ADD, int(ep.fd), &ev); err != nil {
		d.ends[slot] = nil
		d.free = append(d.free, slot)
		return fmt.Errorf("watch socket: %w", err)
	}
	ep.slot = slot
	return nil
}

func (d *epoll) forget(ep *endpoint) {
	if ep.slot >= 0 {
		d.ends[ep.slot] = nil
		d.free = append(d.free, ep.slot)
		ep.slot = -1
	}
}

func (d *epoll) remove(ep *endpoint) {
	d.forget(ep)
	if ep.pending() > 0 && !ep.hung {
		d.write(ep, ep.out[ep.sent:]) // last words get one attempt
	}
	d.drop(ep)
	unix.Close(int(ep.fd))
	ep.fd = -1
}

func (d *epoll) release(ep *endpoint, done func()) {
	d.dirty = slices.DeleteFunc(d.dirty, func(e *endpoint) bool { return e == ep }) // what is kept goes with it
	d.forget(ep)
	_ = unix.EpollCtl(d.fd, unix.EPOLL_CTL_DEL, int(ep.fd), nil)
	done()
}

func (d *epoll) resume(ep *endpoint) {
	if (ep.ready || ep.hung) && !ep.queued && !ep.closed {
		ep.queued = true
		d.ready = append(d.ready, ep)
	}
}

func (d *epoll) send(ep *endpoint, b []byte) {
	if ep.closed || len(b) == 0 {
		return
	}
	if ep.pending() == 0 && len(b) < gathered && ep.slot >= 0 && d.bustle.dense() {
		d.dirty = append(d.dirty, ep)
		d.keep(ep, b)
		return
	}
	if ep.pending() == 0 {
		n := d.write(ep, b)
		b = b[n:]
		if len(b) == 0 {
			return
		}
	}
	d.keep(ep, b)
}

// keep puts b behind what waits to be sent.
func (d *epoll) keep(ep *endpoint, b []byte) {
	if ep.sent > 0 && ep.sent*2 >= len(ep.out) {
		ep.out = ep.out[:copy(ep.out, ep.out[ep.sent:])]
		ep.sent = 0
	}
	if n := ep.pending() + len(b); len(ep.out)+len(b) > cap(ep.out) {
		old := ep.out
		ep.out = append(d.spares.take(2*n), old[ep.sent:]...)
		ep.sent = 0
		d.spares.give(old)
	}
	ep.out = append(ep.out, b...)
}

// write returns how much was taken; a failed socket takes all, its end comes
// as an event.
func (d *epoll) write(ep *endpoint, b []byte) int {
	done := 0
	for done < len(b) {
		n, errno := rawWrite(int(ep.fd), b[done:])
		switch errno {
		case 0:
			done += n
		case unix.EINTR:
		case unix.EAGAIN:
			return done
		default:
			ep.hung = true
			return len(b)
		}
	}
	return done
}

// flushAll sends what the turn has gathered. Woken all at once at its end the
// peers take the processor from us once, not after every write.
func (d *epoll) flushAll() {
	for i := 0; i < len(d.dirty); i++ { // a peer that goes on meanwhile adds to it
		ep := d.dirty[i]
		d.dirty[i] = nil
		if !ep.closed {
			d.flush(ep)
		}
	}
	d.dirty = d.dirty[:0]
}

func (d *epoll) flush(ep *endpoint) {
	before := ep.pending()
	if before == 0 {
		return
	}
	ep.sent += d.write(ep, ep.out[ep.sent:])
	if ep.pending() == 0 {
		d.drop(ep)
	}
	if ep.pending() < lowWater {
		d.sink.drained(ep)
	}
}

func (d *epoll) drop(ep *endpoint) {
	d.spares.give(ep.out)
	ep.out, ep.sent = nil, 0
}

func (d *epoll) turn(wait int64) error {
	d.flushAll()
	if len(d.ready) > 0 {
		wait = 0
	}
	if len(d.full) > 0 && (wait < 0 || wait > int64(acceptPause)) {
		wait = int64(acceptPause)
	}
	n, err := d.wait(wait)
	if err != nil {
		return err
	}
	d.bustle.add(n)
	d.listenAgain()
	for i := range n {
		d.event(&d.events[i])
	}
	for _, ep := range d.takeReady() {
		ep.queued = false
		if !ep.closed && ep.stops == 0 {
			d.read(ep)
		}
	}
	return nil
}

func (d *epoll) takeReady() []*endpoint {
	list := d.ready
	d.ready, d.spare = d.spare[:0], list
	return list
}

// wait asks once without the scheduler's help, yields, asks again, and only
// then blocks in a call the runtime knows of, so that it can take the P. Where
// events come one by one it blocks at once.
func (d *epoll) wait(wait int64) (int, error) {
	sparse := d.bustle.sparse()
	if wait == 0 || !sparse {
		n, errno := rawEpollWait(d.fd, d.events[:], 0)
		if n > 0 || wait == 0 {
			return ok(n, errno)
		}
		_, _, _ = syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		if n, _ = rawEpollWait(d.fd, d.events[:], 0); n > 0 {
			return n, nil
		}
	}
	ms := -1
	if wait > 0 {
		ms = int((wait + 999_999) / 1_000_000)
	}
	if sparse {
		d.breath.take()
	}
	n, err := unix.EpollWait(d.fd, d.events[:], ms)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("wait for events: %w", err)
	}
	return n, nil
}

func ok(n int, errno syscall.Errno) (int, error) {
	if errno != 0 && errno != unix.EINTR {
		return 0, fmt.Errorf("wait for events: %w", errno)
	}
	return max(n, 0), nil
}

func (d *epoll) event(ev *unix.EpollEvent) {
	if ev.Fd == wakeIndex {
		var b [8]byte
		_, _ = unix.Read(d.wakeFD, b[:])
		d.sink.woken()
		return
	}
	ep := d.ends[ev.Fd]
	if ep == nil || ep.closed || ep.birth != ev.Pad {
		return
	}
	if ep.role == roleListener {
		d.accept(ep)
		return
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		d.flush(ep)
	}
	if ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		ep.hung = true
	}
	if ep.closed || ev.Events&^unix.EPOLLOUT == 0 {
		return
	}
	if ep.stops != 0 {
		ep.ready = true
		if ep.hung && ep.role == roleClient { // of a server there may be more to read
			d.sink.hungUp(ep, io.EOF)
		}
		return
	}
	d.read(ep)
}

// read takes what the socket holds. A short read has drained it, unless the
// peer hung up: then its end is still to be read.
func (d *epoll) read(ep *endpoint) {
	for range readsPerTurn {
		ep.ready = false
		n, errno := rawRead(int(ep.fd), d.buf)
		switch {
		case n > 0:
			d.sink.received(ep, d.buf[:n])
			if ep.closed {
				return
			}
			if n < len(d.buf) && !ep.hung {
				return
			}
			if ep.stops != 0 {
				ep.ready = true
				return
			}
		case n == 0 && errno == 0:
			d.sink.hungUp(ep, io.EOF)
			return
		case errno == unix.EAGAIN:
			return
		case errno == unix.EINTR:
		default:
			d.sink.hungUp(ep, errno)
			return
		}
	}
	if !ep.queued && !ep.closed {
		ep.ready, ep.queued = true, true
		d.ready = append(d.ready, ep)
	}
}

// acceptsPerTurn bounds how many logins begin between two looks at traffic.
const acceptsPerTurn = 32

func (d *epoll) accept(ep *endpoint) {
	for range acceptsPerTurn {
		fd, err := acceptOne(int(ep.fd))
		switch {
		case err == nil:
			d.sink.accepted(ep, fd)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		default:
			if !errors.Is(err, unix.EAGAIN) {
				d.sink.hungUp(ep, err)
				d.listenLater(ep)
			}
			return
		}
	}
}

// listenLater takes a listener out until the next turn: its event would stand
// as long as clients wait that cannot be accepted, and the loop would spin.
func (d *epoll) listenLater(ep *endpoint) {
	if ep.closed || ep.slot < 0 {
		return
	}
	d.watch(ep, 0)
	d.full = append(d.full, ep)
}

func (d *epoll) listenAgain() {
	for _, ep := range d.full {
		if !ep.closed && ep.slot >= 0 {
			d.watch(ep, unix.EPOLLIN)
		}
	}
	d.full = d.full[:0]
}

func (d *epoll) watch(ep *endpoint, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: ep.slot, Pad: ep.birth}
	if err := unix.EpollCtl(d.fd, unix.EPOLL_CTL_MOD, int(ep.fd), &ev); err != nil {
		d.sink.hungUp(ep, fmt.Errorf("watch listener: %w", err))
	}
}

func (d *epoll) wake() {
	var one = [8]byte{1}
	_, _ = unix.Write(d.wakeFD, one[:])
}

func (d *epoll) close() {
	unix.Close(d.wakeFD)
	unix.Close(d.fd)
}

// The raw calls return at once, so the runtime need not know of them.

func rawRead(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	runtime.KeepAlive(b)
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}

func rawWrite(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	runtime.KeepAlive(b)
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}

func rawEpollWait(fd int, events []unix.EpollEvent, ms int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(ms), 0, 0)
	runtime.KeepAlive(events)
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}
