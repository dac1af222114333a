package uring

import "errors"

// ErrUnsupported is wrapped by every error of Probe and New that means "this system cannot run the io_uring driver": an old
// kernel, a seccomp filter, kernel.io_uring_disabled, or a system other than Linux. Choose the epoll driver then.
var ErrUnsupported = errors.New("io_uring unsupported")

// Config sizes a ring. Zero fields take the defaults named; counts are rounded up to a power of two.
type Config struct {
	// Entries is the length of the submission queue (256): what one system call can submit. More submissions in a turn cost
	// one more call for every Entries of them, nothing else. At most 32768.
	Entries int
	// CQEntries is the length of the completion queue (4 × Entries, at least 1024). The kernel lowers it to its own limit.
	// Completions beyond it are kept by the kernel and delivered late and slower, never lost.
	CQEntries int
	// BufferCount is the number of receive buffers shared by all connections of the ring (256). At most 32768.
	BufferCount int
	// BufferSize is the size of each in bytes (8192), from 64 to 1 MiB. The kernel takes buffers in turn, so all
	// BufferCount × BufferSize bytes pass through the processor's cache: keep the product near the size of L2.
	BufferSize int
}

// Features says what Probe found.
type Features struct {
	// Kernel is the running kernel's release, as uname prints it.
	Kernel string
	// Bits are the IORING_FEAT_* flags of the kernel.
	Bits uint32
	// NoIOWait: a waiting ring is not counted as I/O wait and I/O pressure (since 6.15). Without it, from 6.5 on, an idle
	// loop shows as one processor's worth of iowait; that is the kernel's accounting, not work.
	NoIOWait bool
}

// String is one line for a log or a console.
func (f Features) String() string {
	s := "io_uring on Linux " + f.Kernel
	if !f.NoIOWait {
		s += " (idle counts as iowait)"
	}
	return s
}
