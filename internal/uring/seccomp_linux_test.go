package uring

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a container's filter or an old kernel answers, answered by a seccomp filter on a thread that ends with the test.
func TestProbeRefused(t *testing.T) {
	cases := []struct {
		name   string
		call   uint32
		errno  unix.Errno
		says   string
		cannot bool // the error is about the system, not about the moment
	}{
		{"no io_uring", unix.SYS_IO_URING_SETUP, unix.ENOSYS, "ENOSYS", true},
		{"forbidden", unix.SYS_IO_URING_SETUP, unix.EPERM, "seccomp", true},
		{"old kernel", unix.SYS_IO_URING_SETUP, unix.EINVAL, "6.1", true},
		{"no memory", unix.SYS_IO_URING_SETUP, unix.ENOMEM, "cannot allocate memory", false},
		{"no descriptors", unix.SYS_IO_URING_SETUP, unix.EMFILE, "too many open files", false},
		{"register forbidden", unix.SYS_IO_URING_REGISTER, unix.EPERM, "registering buffers", true},
		{"no buffer rings", unix.SYS_IO_URING_REGISTER, unix.EINVAL, "provided buffers", true},
		{"no memory to register", unix.SYS_IO_URING_REGISTER, unix.ENOMEM, "cannot allocate memory", false},
		{"enter forbidden", unix.SYS_IO_URING_ENTER, unix.EPERM, "operation not permitted", true},
		{"enter missing", unix.SYS_IO_URING_ENTER, unix.ENOSYS, "not implemented", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := openDescriptors(t)
			err := onFilteredThread(c.call, c.errno, func() error { _, err := Probe(); return err })
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want it to say %q", err, c.says)
			}
			if errors.Is(err, ErrUnsupported) != c.cannot {
				t.Errorf("%v: unsupported is %v, want %v", err, !c.cannot, c.cannot)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			if after := openDescriptors(t); after != before {
				t.Errorf("%d descriptors open before, %d after", before, after)
			}
		})
	}
}

// onFilteredThread runs f where call fails with errno. The thread cannot be cleaned of the filter, so it ends with the goroutine.
func onFilteredThread(call uint32, errno unix.Errno, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := refuse(call, errno); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// refuse makes a system call of this thread fail with errno from now on.
func refuse(call uint32, errno unix.Errno) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}

func TestEnterErrors(t *testing.T) {
	for _, errno := range []unix.Errno{0, unix.EINTR, unix.ETIME, unix.EAGAIN, unix.EBUSY} {
		if err := enterError(errno); err != nil {
			t.Errorf("%v: %v, want no event", errno, err)
		}
	}
	if err := enterError(unix.EBADR); !errors.Is(err, ErrDropped) {
		t.Errorf("EBADR: %v", err)
	}
	for _, errno := range []unix.Errno{unix.EEXIST, unix.EBADF, unix.EFAULT, unix.EINVAL} {
		if err := enterError(errno); !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{
		{Entries: -1}, {Entries: maxEntries + 1}, {CQEntries: -1}, {CQEntries: 1<<30 + 1}, {BufferCount: -1},
		{BufferCount: maxBuffers + 1}, {BufferSize: -1}, {BufferSize: 63}, {BufferSize: maxBufferSize + 1},
		{BufferCount: maxBuffers, BufferSize: maxBufferSize},
	} {
		if r, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
			r.Close()
		} else if errors.Is(err, ErrUnsupported) {
			t.Errorf("%+v: %v blames the system", c, err)
		}
	}
	r := ring(t, Config{Entries: 5, CQEntries: 1 << 30, BufferCount: 3, BufferSize: 100})
	if r.sq.entries != 8 || len(r.bufs.lent) != 4 || r.bufs.size != 100 || r.cq.mask+1 > 1<<20 {
		t.Errorf("queue %d, completions %d, buffers %d × %d", r.sq.entries, r.cq.mask+1, len(r.bufs.lent), r.bufs.size)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("close twice: %v", err)
	}
}
