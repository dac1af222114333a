package uring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrDropped is wrapped by SubmitAndWait's error when the kernel ran out of memory and lost completions: the state of
// every endpoint is unknown, close them all and the ring.
var ErrDropped = errors.New("completions dropped")

// retryPause bounds a wait while the kernel refuses submissions for want of memory.
const retryPause = time.Millisecond

// SubmitAndWait hands the kernel everything submitted and recycled since the last call, in one system call, and returns
// when at least minComplete completions can be taken with Next, or timeout has passed (negative: never), or a signal came.
// Zero completions and a nil error are normal. With timeout 0 or minComplete 0 it never blocks.
//
// A non-nil error means that the ring is unusable: completions may never come, close it.
//
// The order is: what is ready is returned without waiting; then the processor is given away once, as a peer's answer is
// often that near; only then the thread sleeps, in a system call the Go runtime knows of, so that it can take the P. Sleeping
// in one it does not know of would stall the garbage collector, and announcing one that does not sleep costs futex traffic.
func (r *Ring) SubmitAndWait(minComplete int, timeout time.Duration) error {
	r.bufs.publish()
	r.publishHead()
	wanted := uint32(max(minComplete, 0))
	if r.unsubmitted() > 0 || r.kernelHasWork() || timeout == 0 {
		if err := r.submit(); err != nil {
			return err
		}
	}
	if timeout == 0 || r.ready() >= wanted {
		return nil
	}
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	if r.kernelHasWork() {
		if err := r.enter(0); err != nil {
			return err
		}
		if r.ready() >= wanted {
			return nil
		}
	}
	return r.block(0, wanted, timeout)
}

// SubmitAndSleep is SubmitAndWait for a caller who expects no answer before its peers have had time to think: what is
// submitted and the sleep are one system call, and nothing is looked for before. minComplete must count the completions that
// submissions of this call are sure to have at once, as sends with SendNow do; else a completion that waits is not returned
// until enough others come.
func (r *Ring) SubmitAndSleep(minComplete int, timeout time.Duration) error {
	if timeout == 0 || minComplete <= 0 || len(r.backlog) > 0 || r.kernelHasWork() || r.ready() > 0 {
		return r.SubmitAndWait(min(minComplete, 1), timeout)
	}
	r.bufs.publish()
	r.publishHead()
	r.refill()
	return r.block(r.unsubmitted(), uint32(minComplete), timeout)
}

// Ready is the number of completions that Next can take without entering the kernel.
func (r *Ring) Ready() int { return int(r.ready()) }

func (r *Ring) ready() uint32 {
	r.cq.seen = atomic.LoadUint32(r.cq.tail)
	return r.cq.seen - r.cq.next
}

// unsubmitted counts the entries the kernel has not taken, in the queue and behind it.
func (r *Ring) unsubmitted() int {
	return int(r.sq.next-atomic.LoadUint32(r.sq.head)) + len(r.backlog)
}

// kernelHasWork: task work that would post completions waits for an enter, or completions wait for room in the queue.
func (r *Ring) kernelHasWork() bool {
	return atomic.LoadUint32(r.sq.flags)&(sqTaskrun|sqCQOverflow) != 0
}

// submit gives the kernel all that is queued and lets it post what is complete, without waiting. What the kernel has no
// memory for stays queued for the next turn.
func (r *Ring) submit() error {
	for {
		r.refill()
		before := r.unsubmitted()
		if err := r.enter(before - len(r.backlog)); err != nil {
			return err
		}
		if after := r.unsubmitted(); after == 0 || after == before {
			return nil
		}
	}
}

// refill moves the backlog into the room there is in the queue, in order, and publishes the queue's tail.
func (r *Ring) refill() {
	n := min(r.room(), len(r.backlog))
	for i := range n {
		*r.sq.slot() = r.backlog[i]
	}
	r.backlog = append(r.backlog[:0], r.backlog[n:]...)
	atomic.StoreUint32(r.sq.tail, r.sq.next)
}

func (r *Ring) room() int { return int(r.sq.entries - (r.sq.next - atomic.LoadUint32(r.sq.head))) }

// enter submits n entries, runs deferred task work, flushes overflown completions, and does not sleep.
func (r *Ring) enter(n int) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(n), 0, enterGetEvents, 0, 0)
	return enterError(errno)
}

// block submits n entries and sleeps until there are wanted completions or the timeout is over.
func (r *Ring) block(n int, wanted uint32, timeout time.Duration) error {
	if r.unsubmitted() > n && (timeout < 0 || timeout > retryPause) {
		timeout = retryPause
	}
	flags, arg, size := uintptr(enterGetEvents), unsafe.Pointer(nil), uintptr(0)
	if r.features&featNoIOWait != 0 {
		flags |= enterNoIOWait
	}
	if timeout >= 0 {
		r.wait.sec, r.wait.ns = int64(timeout/time.Second), int64(timeout%time.Second)
		flags, arg, size = flags|enterExtArg, unsafe.Pointer(r.wait), waitArgSize
	}
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(n), uintptr(wanted), flags, uintptr(arg), size)
	return enterError(errno)
}

// enterError sorts what enter says. A signal or a timeout is no event; EAGAIN and EBUSY mean that the kernel wants memory or
// room for completions, and the entries stay queued.
func enterError(errno unix.Errno) error {
	switch errno {
	case 0, unix.EINTR, unix.ETIME, unix.EAGAIN, unix.EBUSY:
		return nil
	case unix.EPERM, unix.EACCES, unix.ENOSYS:
		return fmt.Errorf("%w: entering it is forbidden: %w", ErrUnsupported, errno)
	case unix.EBADR:
		return fmt.Errorf("enter io_uring: %w", ErrDropped)
	case unix.EEXIST:
		return fmt.Errorf("enter io_uring: called from another thread than the ring's own: %w", errno)
	default:
		return fmt.Errorf("enter io_uring: %w", errno)
	}
}
