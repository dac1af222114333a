package uring

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCancelReceive(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	a, peer := pair(t)
	r.RecvMultishot(a, recvA)
	quiet(t, r)
	r.CancelUserData(recvA, other)
	got := awaitAll(t, r, 2)
	if c := got[recvA][0]; c.Errno() != unix.ECANCELED || c.More() {
		t.Fatalf("cancelled receive: %+v", c)
	}
	if c := got[other][0]; c.Res != 0 {
		t.Fatalf("cancel: %+v", c)
	}
	// Bytes that come now stay in the socket for the next receive.
	write(t, peer, []byte("later"))
	quiet(t, r)
	r.RecvMultishot(a, recvB)
	if b := collect(t, r, awaitOf(t, r, recvB), nil); string(b) != "later" {
		t.Fatalf("got %q", b)
	}
	r.CancelUserData(recvA, other)
	if c := awaitOf(t, r, other); c.Errno() != unix.ENOENT {
		t.Fatalf("cancel of what is gone: %+v", c)
	}
}

// A cancel in the same submission as bytes on the wire: whatever was received before the last completion is delivered, what was not
// stays in the socket; none is lost.
func TestCancelRacesWithBytes(t *testing.T) {
	r := ring(t, Config{Entries: 8, BufferCount: 16, BufferSize: 64})
	a, peer := pair(t)
	want := bytes.Repeat([]byte("0123456789"), 50)
	for round := range 200 {
		r.RecvMultishot(a, recvA)
		if round%2 == 0 {
			quiet(t, r)
		}
		write(t, peer, want)
		r.CancelUserData(recvA, other)
		var got []byte
		for ended, cancelled := false, false; !ended || !cancelled; {
			c := await(t, r)
			if c.UserData == other {
				cancelled = true
				continue
			}
			if c.Res > 0 {
				got = collect(t, r, c, got)
			}
			ended = !c.More()
		}
		rest := make([]byte, len(want))
		n, err := unix.Read(a, rest)
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		if got = append(got, rest[:max(n, 0)]...); !bytes.Equal(got, want) {
			t.Fatalf("round %d: got %d bytes, want %d", round, len(got), len(want))
		}
	}
}

func TestCancelFD(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	a, _ := pair(t)
	b, peerB := pair(t)
	fill(t, a)
	r.RecvMultishot(a, recvA)
	r.Send(a, make([]byte, 10), sendA, SendAll)
	r.RecvMultishot(b, recvB)
	quiet(t, r)
	r.CancelFD(a, other)
	got := awaitAll(t, r, 3)
	if c := got[other][0]; c.Res != 2 {
		t.Fatalf("cancel by descriptor: %+v, want 2 requests", c)
	}
	for _, ud := range []uint64{recvA, sendA} {
		if c := got[ud][0]; c.Errno() != unix.ECANCELED || c.More() {
			t.Fatalf("cancelled request %d: %+v", ud, c)
		}
	}
	write(t, peerB, []byte("still here"))
	collect(t, r, awaitOf(t, r, recvB), nil)
}

// A request in flight keeps the connection open after close: the peer sees the end only once the receive has ended.
func TestCloseWaitsForReceive(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	ours, peer := tcpPair(t, r)
	fd, err := unix.FcntlInt(uintptr(ours), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(ours)
	r.RecvMultishot(fd, recvA)
	quiet(t, r)
	r.CloseFD(fd, other)
	if c := awaitOf(t, r, other); c.Res != 0 {
		t.Fatalf("close: %+v", c)
	}
	var b [1]byte
	if _, _, err := unix.Recvfrom(peer, b[:], unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Fatalf("peer of a closed descriptor with a receive in flight: %v, want EAGAIN", err)
	}
	r.CancelUserData(recvA, other)
	awaitAll(t, r, 2)
	if n, err := unix.Read(peer, b[:]); n != 0 || err != nil {
		t.Fatalf("peer after the receive ended: %d, %v, want the end of the stream", n, err)
	}
}

func TestShutdownEndsReceive(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	ours, peer := tcpPair(t, r)
	r.RecvMultishot(ours, recvA)
	quiet(t, r)
	r.Shutdown(ours, ShutBoth, other)
	got := awaitAll(t, r, 2)
	if c := got[recvA][0]; c.Res != 0 || c.More() {
		t.Fatalf("receive after shutdown: %+v", c)
	} else if c.HasBuffer() {
		r.Recycle(c.BufferID())
	}
	var b [1]byte
	if n, err := unix.Read(peer, b[:]); n != 0 || err != nil {
		t.Fatalf("peer: %d, %v", n, err)
	}
}

// Close ends a send in the middle: the kernel does not read the buffer afterwards, and holds no descriptor.
func TestCloseCancelsEverything(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	ours, peer := tcpPair(t, r)
	fill(t, ours)
	r.Send(ours, make([]byte, 1<<20), sendA, SendAll)
	r.RecvMultishot(ours, recvA)
	for i := range 100 { // more than the kernel ends in one slice of task work
		a, _ := pair(t)
		r.RecvMultishot(a, 100+uint64(i))
	}
	quiet(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(ours); err != nil {
		t.Fatal(err)
	}
	// Only now that no request holds the socket does the peer see its end.
	var buf [1 << 16]byte
	for {
		n, err := unix.Read(peer, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil && err != unix.ECONNRESET {
			t.Fatal(err)
		}
		if n <= 0 {
			break
		}
	}
}
