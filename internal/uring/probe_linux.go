package uring

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probeWait bounds every step of Probe: a system that pretends to have io_uring (a sandbox, an emulator) may never answer.
const probeWait = 2 * time.Second

// Probe says whether this process may and can run a Ring, by running one: it receives, sends, polls, accepts and cancels on
// throw-away local sockets. The error wraps ErrUnsupported and says why in one line; another error (no memory, no
// descriptors) says that it could not find out. Takes well under a millisecond where it works.
func Probe() (Features, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := New(Config{Entries: 8, CQEntries: 16, BufferCount: 4, BufferSize: 64})
	if err != nil {
		return Features{}, fmt.Errorf("probe: %w", err)
	}
	f := Features{Kernel: release(), Bits: r.features, NoIOWait: r.features&featNoIOWait != 0}
	err = r.probeOps()
	for _, step := range []func(*Ring) error{probeEcho, probePoll, probeAccept} {
		if err == nil {
			err = step(r)
		}
	}
	if closing := r.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return Features{}, fmt.Errorf("probe: %w", err)
	}
	return f, nil
}

// probeOps asks the kernel for the operations used.
func (r *Ring) probeOps() error {
	var p probe
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerProbe, uintptr(unsafe.Pointer(&p)), uintptr(len(p.ops)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("%w: asking for its operations: %w", ErrUnsupported, errno)
	}
	for _, op := range []int{opNop, opPollAdd, opAccept, opAsyncCancel, opClose, opSend, opRecv, opShutdown} {
		if op >= int(p.opsLen) || p.ops[op].flags&opSupported == 0 {
			return fmt.Errorf("%w: Linux %s lacks operation %d", ErrUnsupported, release(), op)
		}
	}
	return nil
}

// User data of the probe's requests.
const (
	probeRequest uint64 = iota + 1
	probeSend
	probeCancel
)

// probeEcho receives twice with one multishot request, the bytes sent through the ring, and cancels it.
func probeEcho(r *Ring) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open socket pair: %w", err)
	}
	defer drop(pair[0])
	defer drop(pair[1])
	r.RecvMultishot(pair[0], probeRequest)
	for _, text := range []string{"first", "second"} {
		out := []byte(text)
		r.Send(pair[1], out, probeSend, SendAll)
		if err := r.expect("send", probeSend, int32(len(out)), nil); err != nil {
			return err
		}
		runtime.KeepAlive(out)
		got := ""
		if err := r.expect("multishot receive", probeRequest, int32(len(out)), func(c CQE) {
			got = string(r.Buffer(c.BufferID(), c.Res))
		}); err != nil {
			return err
		}
		if got != text {
			return fmt.Errorf("%w: multishot receive gave other bytes than were sent", ErrUnsupported)
		}
	}
	return r.cancelProbe()
}

// probePoll polls an eventfd with a multishot request.
func probePoll(r *Ring) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("open eventfd: %w", err)
	}
	defer drop(fd)
	r.PollMultishot(fd, unix.POLLIN, probeRequest)
	for range 2 {
		if _, err := unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 1}); err != nil {
			return fmt.Errorf("write eventfd: %w", err)
		}
		if err := r.expect("multishot poll", probeRequest, unix.POLLIN, nil); err != nil {
			return err
		}
	}
	return r.cancelProbe()
}

// probeAccept accepts two connections with one request, on an address without a name in the file system.
func probeAccept(r *Ring) error {
	ln, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open listener: %w", err)
	}
	defer drop(ln)
	if err := unix.Bind(ln, &unix.SockaddrUnix{}); err != nil {
		return fmt.Errorf("bind listener: %w", err)
	}
	if err := unix.Listen(ln, 2); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	at, err := unix.Getsockname(ln)
	if err != nil {
		return fmt.Errorf("name listener: %w", err)
	}
	r.AcceptMultishot(ln, probeRequest)
	for range 2 {
		if err := probeConnection(r, at); err != nil {
			return err
		}
	}
	return r.cancelProbe()
}

func probeConnection(r *Ring, at unix.Sockaddr) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	defer drop(fd)
	if err := unix.Connect(fd, at); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return r.expect("multishot accept", probeRequest, -1, func(c CQE) { drop(int(c.Res)) })
}

// drop closes what was only opened to try.
func drop(fd int) { _ = unix.Close(fd) }

// cancelProbe cancels the probed request and takes the two completions, in whatever order.
func (r *Ring) cancelProbe() error {
	r.CancelUserData(probeRequest, probeCancel)
	var ended, cancelled bool
	for !ended || !cancelled {
		c, err := r.await("cancel")
		switch {
		case err != nil:
			return err
		case c.UserData == probeCancel && c.Res == 0:
			cancelled = true
		case c.UserData == probeRequest && c.Res == -int32(unix.ECANCELED) && !c.More():
			ended = true
		default:
			return fmt.Errorf("%w: cancel answered with result %d", ErrUnsupported, c.Res)
		}
	}
	return nil
}

// expect takes the next completion, which must be that of userData, with the result res (any that is no error if -1), and going on
// if it is of a multishot request.
func (r *Ring) expect(what string, userData uint64, res int32, take func(CQE)) error {
	c, err := r.await(what)
	if err != nil {
		return err
	}
	if c.UserData != userData || c.Res < 0 || res >= 0 && c.Res != res {
		return fmt.Errorf("%w: %s answered with result %d", ErrUnsupported, what, c.Res)
	}
	if more := userData == probeRequest; c.More() != more {
		return fmt.Errorf("%w: %s ended after one completion", ErrUnsupported, what)
	}
	if take != nil {
		take(c)
	}
	if c.HasBuffer() {
		r.Recycle(c.BufferID())
	}
	return nil
}

func (r *Ring) await(what string) (CQE, error) {
	for deadline := time.Now().Add(probeWait); ; {
		if c, ok := r.Next(); ok {
			return c, nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return CQE{}, fmt.Errorf("%w: %s never completed", ErrUnsupported, what)
		}
		if err := r.SubmitAndWait(1, left); err != nil {
			return CQE{}, err
		}
	}
}
