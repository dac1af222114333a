package uring

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func eventfd(t testing.TB) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func wake(t testing.TB, fd int) {
	if _, err := unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil && !errors.Is(err, unix.EAGAIN) {
		t.Error(err)
	}
}

// Another goroutine wakes a loop that waits without a limit, again and again, by an eventfd nobody reads.
func TestWakeByEventfd(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	fd := eventfd(t)
	r.PollMultishot(fd, unix.POLLIN, other)
	ask, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for range ask {
			wake(t, fd)
		}
	}()
	for range 500 {
		ask <- struct{}{}
		for r.Ready() == 0 {
			if err := r.SubmitAndWait(1, -1); err != nil {
				t.Fatal(err)
			}
		}
		c, _ := r.Next()
		if c.UserData != other || !c.More() || c.Res&unix.POLLIN == 0 {
			t.Fatalf("wake-up: %+v", c)
		}
	}
	close(ask)
	<-done
}

// No wake-up is lost when many are made at once: after the last one there is a completion not older than it.
func TestWakesCoalesce(t *testing.T) {
	r := ring(t, Config{Entries: 8, CQEntries: 8})
	fd := eventfd(t)
	r.PollMultishot(fd, unix.POLLIN, other)
	var (
		mu     sync.Mutex
		queued int
		done   sync.WaitGroup
	)
	const makers, each = 4, 500
	for range makers {
		done.Go(func() {
			for range each {
				mu.Lock()
				queued++
				mu.Unlock()
				wake(t, fd)
			}
		})
	}
	for taken := 0; taken < makers*each; {
		c := awaitOf(t, r, other)
		if !c.More() {
			r.PollMultishot(fd, unix.POLLIN, other)
		}
		mu.Lock()
		taken += queued
		queued = 0
		mu.Unlock()
	}
	done.Wait()
}

func TestPollWritable(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	a, peer := pair(t)
	n := fill(t, a)
	r.PollAdd(a, unix.POLLOUT, other)
	quiet(t, r)
	buf := make([]byte, n)
	for got := 0; got < n; {
		m, err := unix.Read(peer, buf)
		if err != nil {
			t.Fatal(err)
		}
		got += m
	}
	if c := awaitOf(t, r, other); c.More() || c.Res&unix.POLLOUT == 0 {
		t.Fatalf("poll: %+v", c)
	}
}

func TestAccept(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	ln, at := listener(t)
	r.AcceptMultishot(ln, other)
	for range 20 {
		peer := dial(t, at)
		c := awaitOf(t, r, other)
		if c.Res < 0 || !c.More() {
			t.Fatalf("accept: %+v", c)
		}
		flags, err := unix.FcntlInt(uintptr(c.Res), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Fatalf("accepted descriptor: flags %#x, %v", flags, err)
		}
		unix.Close(peer)
		r.CloseFD(int(c.Res), recvA)
		if c := awaitOf(t, r, recvA); c.Res != 0 {
			t.Fatalf("close: %+v", c)
		}
	}
}

// A shortage of descriptors ends the accept; it goes on where it was once armed again.
func TestAcceptWithoutDescriptors(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	ln, at := listener(t)
	peer := dial(t, at)
	defer unix.Close(peer)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	r.AcceptMultishot(ln, other)
	c, err := r.await("accept")
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err != nil || c.Errno() != unix.EMFILE || c.More() {
		t.Fatalf("accept: %+v, %v", c, err)
	}
	r.AcceptMultishot(ln, other)
	if c = awaitOf(t, r, other); c.Res < 0 {
		t.Fatalf("accept again: %+v", c)
	}
	unix.Close(int(c.Res))
}

func TestTimeout(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	a, peer := pair(t)
	r.RecvMultishot(a, recvA)
	for _, timeout := range []time.Duration{0, 1, time.Millisecond, 20 * time.Millisecond} {
		start := time.Now()
		if err := r.SubmitAndWait(1, timeout); err != nil {
			t.Fatal(err)
		}
		if r.Ready() != 0 {
			t.Fatalf("timeout %v: %d ready", timeout, r.Ready())
		}
		if took := time.Since(start); took < timeout && timeout > 0 {
			t.Logf("timeout %v: back after %v (a signal)", timeout, took)
		}
	}
	write(t, peer, []byte("x"))
	collect(t, r, awaitOf(t, r, recvA), nil)
}

// A wait without a limit ends on a signal, with nothing ready and no error.
func TestSignalEndsWait(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	tid := unix.Gettid()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Tgkill(os.Getpid(), tid, unix.SIGURG)
				runtime.Gosched()
			}
		}
	}()
	for range 100 {
		if err := r.SubmitAndWait(1, -1); err != nil {
			t.Fatal(err)
		}
		if r.Ready() != 0 {
			t.Fatalf("%d ready", r.Ready())
		}
	}
	close(stop)
	<-stopped
}

// The ring says so when it is driven from another thread, and works on from its own.
func TestOtherThread(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		r.Nop(1)
		failed <- r.SubmitAndWait(1, 0)
	}()
	if err := <-failed; !errors.Is(err, unix.EEXIST) {
		t.Fatalf("driven from another thread: %v, want EEXIST", err)
	}
	awaitOf(t, r, 1)
	quiet(t, r)
}

// An endpoint that is not read still hears its peer's end, and nothing else, with bytes unread before it.
func TestPollPeerEnd(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	ours, peer := tcpPair(t, r)
	write(t, peer, []byte("unread"))
	r.PollAdd(ours, unix.POLLRDHUP, other)
	quiet(t, r)
	write(t, peer, []byte("unread too"))
	quiet(t, r)
	if err := unix.Shutdown(peer, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if c := awaitOf(t, r, other); c.Res&unix.POLLRDHUP == 0 || c.More() {
		t.Fatalf("poll: %+v", c)
	}
	r.RecvMultishot(ours, recvA)
	if got := collect(t, r, awaitOf(t, r, recvA), nil); string(got) != "unreadunread too" {
		t.Fatalf("got %q", got)
	}
}
