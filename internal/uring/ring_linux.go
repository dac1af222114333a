package uring

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is one io_uring with its ring of receive buffers. It belongs to the OS thread that made it: every method, Close
// included, must be called there (runtime.LockOSThread first). There are no locks inside.
type Ring struct {
	fd       int
	features uint32

	sq      sqRing
	cq      cqRing
	bufs    bufRing
	wait    *waitArg // off heap: the kernel reads it during a blocking enter
	backlog []sqe    // submissions that found the queue full and the kernel unwilling; empty but for memory pressure
	// escape makes the compiler see that a Send's buffer is reachable from the heap, so that it never lives on a stack, which moves.
	escape unsafe.Pointer

	ringMem, sqeMem, ownMem []byte // mmapped
}

// sqRing is our view of the submission queue. The kernel advances head, we advance tail.
type sqRing struct {
	head, tail, flags *uint32
	mask, entries     uint32
	next              uint32 // our copy of tail, ahead of it until published
	sqes              unsafe.Pointer
}

// cqRing is our view of the completion queue. The kernel advances tail, we advance head.
type cqRing struct {
	head, tail *uint32
	mask       uint32
	next       uint32 // our copy of head, ahead of it until published
	seen       uint32 // the tail last loaded
	cqes       unsafe.Pointer
}

// New makes a ring for the calling OS thread. An error that wraps ErrUnsupported says that the system cannot, any other that
// this configuration or moment could not. On error nothing is left behind.
func New(cfg Config) (*Ring, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	r := &Ring{fd: -1}
	if err := r.open(cfg); err != nil {
		_ = r.Close() // nothing is in flight
		return nil, err
	}
	return r, nil
}

// complete fills in defaults and refuses what no kernel takes.
func (c *Config) complete() error {
	if c.Entries == 0 {
		c.Entries = 256
	}
	if c.CQEntries == 0 {
		c.CQEntries = max(4*c.Entries, 1024)
	}
	if c.BufferCount == 0 {
		c.BufferCount = 256
	}
	if c.BufferSize == 0 {
		c.BufferSize = 8192
	}
	switch {
	case c.Entries < 1 || c.Entries > maxEntries:
		return fmt.Errorf("size ring: %d entries, want 1 to %d", c.Entries, maxEntries)
	case c.CQEntries < 1 || c.CQEntries > 1<<30:
		return fmt.Errorf("size ring: %d completion entries, want at least 1", c.CQEntries)
	case c.BufferCount < 1 || c.BufferCount > maxBuffers:
		return fmt.Errorf("size ring: %d buffers, want 1 to %d", c.BufferCount, maxBuffers)
	case c.BufferSize < 64 || c.BufferSize > maxBufferSize:
		return fmt.Errorf("size ring: buffers of %d bytes, want 64 to %d", c.BufferSize, maxBufferSize)
	}
	c.Entries, c.BufferCount = roundUp(c.Entries), roundUp(c.BufferCount)
	c.CQEntries = roundUp(max(c.CQEntries, c.Entries))
	if c.BufferCount*c.BufferSize > maxBufferBytes {
		return fmt.Errorf("size ring: %d buffers of %d bytes, want at most %d bytes together", c.BufferCount, c.BufferSize, maxBufferBytes)
	}
	return nil
}

func roundUp(n int) int { return 1 << bits.Len(uint(n-1)) }

func (r *Ring) open(cfg Config) error {
	p := params{
		cqEntries: uint32(cfg.CQEntries),
		flags:     setupCQSize | setupClamp | setupSubmitAll | setupTaskrunFlag | setupSingleIssuer | setupDeferTaskrun,
	}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(cfg.Entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return setupError(errno)
	}
	r.fd = int(fd)
	r.features = p.features
	if need := uint32(featSingleMmap | featNoDrop | featFastPoll | featExtArg); p.features&need != need {
		return fmt.Errorf("%w: kernel features %#x lack %#x", ErrUnsupported, p.features, need&^p.features)
	}
	if err := r.mapQueues(&p); err != nil {
		return err
	}
	return r.mapBuffers(cfg)
}

// mapQueues maps the queues the kernel made and fills the submission array once: entry i of the queue is always sqe i.
func (r *Ring) mapQueues(p *params) (err error) {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	size := max(p.sqOff.array+p.sqEntries*4, p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(CQE{})))
	if r.ringMem, err = unix.Mmap(r.fd, offSQRing, int(size), prot, flags); err != nil {
		return fmt.Errorf("map ring: %w", err)
	}
	if r.sqeMem, err = unix.Mmap(r.fd, offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})), prot, flags); err != nil {
		return fmt.Errorf("map submission entries: %w", err)
	}
	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.ringMem[off])) }
	r.sq = sqRing{
		head: word(p.sqOff.head), tail: word(p.sqOff.tail), flags: word(p.sqOff.flags),
		mask: *word(p.sqOff.ringMask), entries: p.sqEntries,
		next: *word(p.sqOff.tail), sqes: unsafe.Pointer(&r.sqeMem[0]),
	}
	r.cq = cqRing{
		head: word(p.cqOff.head), tail: word(p.cqOff.tail), mask: *word(p.cqOff.ringMask),
		next: *word(p.cqOff.head), seen: *word(p.cqOff.head), cqes: unsafe.Pointer(&r.ringMem[p.cqOff.cqes]),
	}
	for i := range p.sqEntries {
		*word(p.sqOff.array + 4*i) = i
	}
	return nil
}

// Close cancels everything in flight, waits for it, and gives the memory back: after it the kernel touches neither the
// receive buffers nor any buffer given to Send, and holds no descriptor. Completions not taken are lost. Close twice is safe.
func (r *Ring) Close() error {
	var errs []error
	if r.fd >= 0 {
		quiet := r.cancelEverything()
		errs = append(errs, unix.Close(r.fd), quiet)
		r.fd = -1
		if quiet != nil {
			// The kernel may still write into the buffers: leaking them is safe, giving the addresses to the next mmap is not.
			r.ownMem = nil
		}
	}
	for _, mem := range []*[]byte{&r.ownMem, &r.sqeMem, &r.ringMem} {
		if *mem != nil {
			errs = append(errs, unix.Munmap(*mem))
			*mem = nil
		}
	}
	r.sq, r.cq, r.bufs, r.wait = sqRing{}, cqRing{}, bufRing{}, nil
	return errors.Join(errs...)
}

// cancelEverything returns nil once nothing is in flight.
func (r *Ring) cancelEverything() error {
	if r.sq.tail == nil || r.wait == nil {
		return nil // not far enough to have submitted anything
	}
	arg := syncCancel{fd: -1, flags: cancelAny | cancelAll, ns: int64(10 * time.Millisecond)}
	for range cancelRounds {
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerSyncCancel, uintptr(unsafe.Pointer(&arg)), 1, 0, 0)
		if errno != 0 && errno != unix.ENOENT && errno != unix.EINTR && errno != unix.ETIME {
			return fmt.Errorf("cancel requests in flight: %w", errno)
		}
		if err := r.discard(); err != nil {
			return err
		}
		if errno == unix.ENOENT || errno == 0 && n == 0 {
			return nil
		}
	}
	return errors.New("cancel requests in flight: some do not end")
}

// cancelRounds bounds Close where a request cannot be cancelled; a round that cancels nothing lasts 10 ms.
const cancelRounds = 1000

// discard runs the task work in which cancelled requests end, a slice per enter, and drops what completes.
func (r *Ring) discard() error {
	for {
		if err := r.enter(0); err != nil {
			return err
		}
		n := r.ready()
		if n == 0 {
			return nil
		}
		r.cq.next += n
		r.publishHead()
	}
}

func setupError(errno unix.Errno) error {
	switch errno {
	case unix.ENOSYS:
		return fmt.Errorf("%w: the kernel has no io_uring, or a seccomp filter hides it (ENOSYS)", ErrUnsupported)
	case unix.EPERM, unix.EACCES:
		return fmt.Errorf("%w: %s", ErrUnsupported, refusal())
	case unix.EINVAL:
		return fmt.Errorf("%w: Linux %s is too old, want 6.1 or later (single issuer, deferred task work)", ErrUnsupported, release())
	default:
		return fmt.Errorf("set up io_uring: %w", errno)
	}
}

// refusal says who forbids io_uring.
func refusal() string {
	text, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled")
	switch setting := strings.TrimSpace(string(text)); {
	case err == nil && setting == "2":
		return "disabled for every process by kernel.io_uring_disabled = 2"
	case err == nil && setting == "1":
		return "kernel.io_uring_disabled = 1 allows it only to members of kernel.io_uring_group and CAP_SYS_ADMIN"
	default:
		return "a seccomp filter or security module forbids it (EPERM), as container runtimes do by default"
	}
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "?"
	}
	return unix.ByteSliceToString(u.Release[:])
}
