package uring

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deadline is how long a test waits for a completion that must come; nothing is measured against it.
const deadline = 2 * time.Minute

// ring makes a ring for the test's thread. At the end everything must have been given back.
func ring(t testing.TB, cfg Config) *Ring {
	t.Helper()
	runtime.LockOSThread()
	r, err := New(cfg)
	if err != nil {
		runtime.UnlockOSThread()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer runtime.UnlockOSThread()
		if err := r.Close(); err != nil {
			t.Errorf("close ring: %v", err)
		}
	})
	return r
}

// await takes the next completion.
func await(t testing.TB, r *Ring) CQE {
	t.Helper()
	c, err := r.await("a completion")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// awaitOf takes completions until one has the user data; others fail the test.
func awaitOf(t testing.TB, r *Ring, userData uint64) CQE {
	t.Helper()
	c := await(t, r)
	if c.UserData != userData {
		t.Fatalf("completion %+v, want user data %d", c, userData)
	}
	return c
}

// awaitAll takes n completions and sorts them by user data.
func awaitAll(t testing.TB, r *Ring, n int) map[uint64][]CQE {
	t.Helper()
	got := map[uint64][]CQE{}
	for range n {
		c := await(t, r)
		got[c.UserData] = append(got[c.UserData], c)
	}
	return got
}

// quiet asserts that nothing more completes for now.
func quiet(t testing.TB, r *Ring) {
	t.Helper()
	if err := r.SubmitAndWait(1, 0); err != nil {
		t.Fatal(err)
	}
	if c, ok := r.Next(); ok {
		t.Fatalf("unexpected completion %+v", c)
	}
}

// pair is a pair of connected unix stream sockets, non-blocking as a loop's are.
func pair(t testing.TB) (int, int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

// listener listens on a free loopback port.
func listener(t testing.TB) (int, unix.Sockaddr) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 128); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, at
}

// dial opens a blocking loopback connection; the caller closes it.
func dial(t testing.TB, at unix.Sockaddr) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, at); err != nil {
		t.Fatal(err)
	}
	return fd
}

// tcpPair is a loopback connection, accepted through r: ours, and the peer's, blocking one.
func tcpPair(t testing.TB, r *Ring) (ours, peer int) {
	t.Helper()
	ln, at := listener(t)
	const accepting = 1 << 60
	r.AcceptMultishot(ln, accepting)
	peer = dial(t, at)
	c := awaitOf(t, r, accepting)
	if c.Res < 0 || !c.More() {
		t.Fatalf("accept: %+v", c)
	}
	r.CancelUserData(accepting, accepting+1)
	awaitAll(t, r, 2)
	ours = int(c.Res)
	t.Cleanup(func() { unix.Close(ours); unix.Close(peer) })
	return ours, peer
}

// write writes all of p to a blocking or momentarily writable descriptor.
func write(t testing.TB, fd int, p []byte) {
	t.Helper()
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		p = p[max(n, 0):]
	}
}

// openDescriptors counts the process's open descriptors.
func openDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
