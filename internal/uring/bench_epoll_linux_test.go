package uring

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The epoll loop of the benchmark waits as the ring does and uses raw calls for what never sleeps, so that engines and not wrappers are compared.

func epollTurn(b *testing.B, ep int, events []unix.EpollEvent) int {
	if n := epollRaw(b, ep, events); n > 0 {
		return n
	}
	unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	if n := epollRaw(b, ep, events); n > 0 {
		return n
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), ^uintptr(0), 0, 0)
	return counted(b, n, errno)
}

func epollRaw(b *testing.B, ep int, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	return counted(b, n, errno)
}

func rawRead(b *testing.B, fd int, p []byte) int {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return counted(b, n, errno)
}

func rawWrite(b *testing.B, fd int, p []byte) int {
	if len(p) == 0 {
		return 0
	}
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return counted(b, n, errno)
}

func counted(b *testing.B, n uintptr, errno unix.Errno) int {
	if errno == unix.EINTR {
		return 0
	}
	if errno != 0 {
		b.Fatal(errno)
	}
	return int(n)
}
