package uring

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// User data in these tests.
const (
	recvA uint64 = iota + 1
	recvB
	sendA
	sendB
	other
)

// collect appends a receive's bytes and recycles its buffer.
func collect(t testing.TB, r *Ring, c CQE, into []byte) []byte {
	t.Helper()
	if c.Res <= 0 || !c.HasBuffer() {
		t.Fatalf("receive: %+v (%v)", c, c.Errno())
	}
	into = append(into, r.Buffer(c.BufferID(), c.Res)...)
	r.Recycle(c.BufferID())
	return into
}

func TestEchoBatchedSends(t *testing.T) {
	const conns, rounds = 20, 50
	r := ring(t, Config{Entries: 16, BufferCount: 8, BufferSize: 256})
	near, far := make([]int, conns), make([]int, conns)
	out := make([][]byte, conns)
	for i := range conns {
		near[i], far[i] = pair(t)
		r.RecvMultishot(near[i], recvA+uint64(i)<<8)
	}
	for round := range rounds {
		for i := range conns {
			write(t, far[i], []byte{byte(i), byte(round), 'x'})
		}
		for received, sent := 0, 0; received < conns || sent < conns; {
			c := await(t, r)
			i := int(c.UserData >> 8)
			switch c.UserData & 0xff {
			case recvA:
				if c.Res == -int32(unix.ENOBUFS) {
					r.RecvMultishot(near[i], c.UserData) // fewer buffers than connections: expected
					continue
				}
				out[i] = collect(t, r, c, out[i][:0])
				r.Send(near[i], out[i], sendA+uint64(i)<<8, SendAll)
				received++
				if !c.More() {
					r.RecvMultishot(near[i], c.UserData)
				}
			case sendA:
				if c.Res != 3 {
					t.Fatalf("send: %+v", c)
				}
				sent++
			}
		}
		for i := range conns {
			var got [8]byte
			n, err := unix.Read(far[i], got[:])
			if err != nil || !bytes.Equal(got[:n], []byte{byte(i), byte(round), 'x'}) {
				t.Fatalf("round %d: connection %d got %v, %v", round, i, got[:max(n, 0)], err)
			}
		}
	}
	if r.Lent() != 0 {
		t.Fatalf("%d buffers lent after all were recycled", r.Lent())
	}
}

func TestBuffersExhausted(t *testing.T) {
	r := ring(t, Config{Entries: 8, BufferCount: 2, BufferSize: 64})
	a, peer := pair(t)
	r.RecvMultishot(a, recvA)
	want := bytes.Repeat([]byte("0123456789abcdef"), 16) // 256 bytes, 4 buffers' worth
	write(t, peer, want)

	var held []CQE
	for range 2 {
		held = append(held, awaitOf(t, r, recvA))
	}
	last := awaitOf(t, r, recvA)
	if last.Res != -int32(unix.ENOBUFS) || last.More() || last.HasBuffer() {
		t.Fatalf("with every buffer lent: %+v, want a last completion with ENOBUFS", last)
	}
	if r.Lent() != 2 {
		t.Fatalf("%d lent, want 2", r.Lent())
	}
	var got []byte
	for _, c := range held {
		got = collect(t, r, c, got)
	}
	r.RecvMultishot(a, recvA)
	for len(got) < len(want) {
		c := awaitOf(t, r, recvA)
		if c.Res == -int32(unix.ENOBUFS) {
			r.RecvMultishot(a, recvA)
			continue
		}
		got = collect(t, r, c, got)
		if !c.More() {
			r.RecvMultishot(a, recvA)
		}
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
}

// A single receive while every buffer is lent also says ENOBUFS, and leaves the bytes in the socket.
func TestRecvOnce(t *testing.T) {
	r := ring(t, Config{Entries: 8, BufferCount: 1, BufferSize: 64})
	a, peer := pair(t)
	r.Recv(a, recvA)
	write(t, peer, []byte("one"))
	c := awaitOf(t, r, recvA)
	if c.More() || c.Res != 3 || string(r.Buffer(c.BufferID(), c.Res)) != "one" {
		t.Fatalf("receive once: %+v", c)
	}
	write(t, peer, []byte("two"))
	quiet(t, r)
	r.Recv(a, recvA)
	if c := awaitOf(t, r, recvA); c.Res != -int32(unix.ENOBUFS) {
		t.Fatalf("with the buffer lent: %+v", c)
	}
	r.Recycle(c.BufferID())
	r.Recv(a, recvA)
	if got := collect(t, r, awaitOf(t, r, recvA), nil); string(got) != "two" {
		t.Fatalf("got %q", got)
	}
}

func TestBufferViews(t *testing.T) {
	r := ring(t, Config{Entries: 8, BufferCount: 2, BufferSize: 64})
	a, peer := pair(t)
	if r.Buffer(0, 1) != nil || r.Buffer(7, 1) != nil {
		t.Fatal("a view of a buffer that is not lent")
	}
	r.RecvMultishot(a, recvA)
	write(t, peer, []byte("abc"))
	c := awaitOf(t, r, recvA)
	for n, want := range map[int32]int{-1: 0, 0: 0, 3: 3, 1000: 64} {
		if v := r.Buffer(c.BufferID(), n); len(v) != want || cap(v) != want {
			t.Errorf("view of %d bytes: len %d cap %d, want %d", n, len(v), cap(v), want)
		}
	}
	for range 5 {
		r.Recycle(c.BufferID()) // once too often must not put it in the ring twice
	}
	r.Recycle(9999)
	if r.Lent() != 0 {
		t.Fatalf("%d lent", r.Lent())
	}
	if r.Buffer(c.BufferID(), 3) != nil {
		t.Fatal("a view of a recycled buffer")
	}
	// Both buffers, and no third, hold distinct bytes now.
	write(t, peer, bytes.Repeat([]byte("x"), 64))
	write(t, peer, bytes.Repeat([]byte("y"), 64))
	first, second := awaitOf(t, r, recvA), awaitOf(t, r, recvA)
	if first.BufferID() == second.BufferID() {
		t.Fatal("one buffer lent twice")
	}
	if b := r.Buffer(first.BufferID(), 64); b[0] != 'x' || b[63] != 'x' {
		t.Fatalf("first piece %q", b)
	}
}

func TestHalfCloseAndReset(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	ours, peer := tcpPair(t, r)
	r.RecvMultishot(ours, recvA)
	write(t, peer, []byte("bye"))
	if err := unix.Shutdown(peer, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, r, awaitOf(t, r, recvA), nil); string(got) != "bye" {
		t.Fatalf("got %q", got)
	}
	end := awaitOf(t, r, recvA)
	if end.Res != 0 || end.More() {
		t.Fatalf("half-close: %+v, want a last completion with 0", end)
	}
	if end.HasBuffer() {
		r.Recycle(end.BufferID())
	}
	// The other half still works.
	reply := []byte("bye too")
	r.Send(ours, reply, sendA, SendAll)
	if c := awaitOf(t, r, sendA); c.Res != int32(len(reply)) {
		t.Fatalf("send after half-close: %+v", c)
	}

	ours, peer = tcpPair(t, r)
	r.RecvMultishot(ours, recvB)
	quiet(t, r)
	if err := unix.SetsockoptLinger(peer, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(peer); err != nil {
		t.Fatal(err)
	}
	if c := awaitOf(t, r, recvB); c.Errno() != unix.ECONNRESET || c.More() {
		t.Fatalf("reset: %+v", c)
	}
	r.Send(ours, reply, sendB, SendAll)
	if c := awaitOf(t, r, sendB); c.Errno() != unix.EPIPE {
		t.Fatalf("send after reset: %+v (%v)", c, c.Errno())
	}
}

// A completion queue of 8 and hundreds of pieces: the kernel keeps what does not fit, in order, and nothing is lost.
func TestCompletionOverflow(t *testing.T) {
	const conns = 40
	r := ring(t, Config{Entries: 4, CQEntries: 8, BufferCount: 256, BufferSize: 64})
	if r.cq.mask+1 > 8 {
		t.Fatalf("completion queue of %d", r.cq.mask+1)
	}
	near, far, got := make([]int, conns), make([]int, conns), make([][]byte, conns)
	for i := range conns {
		near[i], far[i] = pair(t)
		r.RecvMultishot(near[i], uint64(i))
	}
	want := make([]byte, 640)
	for i := range want {
		want[i] = byte(i * 7)
	}
	for i := range conns {
		write(t, far[i], want)
	}
	for left := conns * len(want); left > 0; {
		c := await(t, r)
		i := int(c.UserData)
		if c.Res > 0 {
			got[i] = collect(t, r, c, got[i])
			left -= int(c.Res)
		} else if c.Res != -int32(unix.ENOBUFS) {
			t.Fatalf("receive: %+v", c)
		}
		if !c.More() {
			r.RecvMultishot(near[i], uint64(i))
		}
	}
	for i := range conns {
		if !bytes.Equal(got[i], want) {
			t.Fatalf("connection %d: bytes lost or out of order", i)
		}
	}
	// Plain completions overflow too.
	for i := range 100 {
		r.Nop(uint64(1000 + i))
	}
	for i := range 100 {
		awaitOf(t, r, uint64(1000+i))
	}
	quiet(t, r)
}
