package uring

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fill writes to a non-blocking socket until it takes no more, and says how much that was.
func fill(t testing.TB, fd int) int {
	t.Helper()
	total, junk := 0, make([]byte, 4096)
	for {
		n, err := unix.SendmsgN(fd, junk, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == unix.EAGAIN {
			return total
		}
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
}

// pattern is n bytes that differ from their neighbours and neighbourhoods.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8)*31 ^ byte(i>>16)*17
	}
	return p
}

// A megabyte to a peer that reads slowly: without SendAll in short sends, the rest of which the caller sends; with it in one completion.
func TestLongSend(t *testing.T) {
	for name, flags := range map[string]int{"short sends": 0, "send all": SendAll} {
		t.Run(name, func(t *testing.T) {
			r := ring(t, Config{Entries: 8})
			ours, peer := tcpPair(t, r)
			if err := unix.SetsockoptInt(ours, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10); err != nil {
				t.Fatal(err)
			}
			want := pattern(1 << 20)
			read := make(chan []byte, 1)
			go func() { read <- readN(peer, len(want)) }()
			completions := 0
			for rest := want; len(rest) > 0; completions++ {
				r.Send(ours, rest, sendA, flags)
				c := awaitOf(t, r, sendA)
				if c.Res <= 0 || int(c.Res) > len(rest) {
					t.Fatalf("send: %+v", c)
				}
				rest = rest[c.Res:]
			}
			if flags == SendAll && completions != 1 {
				t.Errorf("%d completions, want 1", completions)
			}
			if flags == 0 && completions < 2 {
				t.Errorf("%d completions, want short sends", completions)
			}
			if got := <-read; !bytes.Equal(got, want) {
				t.Errorf("peer got %d bytes, or others", len(got))
			}
		})
	}
}

// readN reads n bytes or to the end.
func readN(fd, n int) []byte {
	got, buf := make([]byte, 0, n), make([]byte, 10000)
	for len(got) < n {
		m, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if m <= 0 {
			break
		}
		got = append(got, buf[:m]...)
	}
	return got
}

// A cancelled SendAll says how much had gone.
func TestCancelSend(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	ours, peer := tcpPair(t, r)
	want := pattern(16 << 20)
	r.Send(ours, want, sendA, SendAll)
	quiet(t, r)
	r.CancelUserData(sendA, other)
	got := awaitAll(t, r, 2)
	sent := got[sendA][0]
	if sent.Res <= 0 || int(sent.Res) >= len(want) {
		t.Fatalf("cancelled send: %+v (%v), want part of it", sent, sent.Errno())
	}
	if err := unix.Close(ours); err != nil {
		t.Fatal(err)
	}
	if b := readN(peer, len(want)); !bytes.Equal(b, want[:sent.Res]) {
		t.Fatalf("peer got %d bytes, the completion said %d", len(b), sent.Res)
	}
}

func TestSendErrors(t *testing.T) {
	r := ring(t, Config{Entries: 8})
	a, peer := pair(t)
	unix.Close(peer)
	r.Send(a, []byte("x"), sendA, SendAll)
	if c := awaitOf(t, r, sendA); c.Errno() != unix.EPIPE {
		t.Errorf("send to a closed peer: %+v", c)
	}
	r.Send(1<<20, []byte("x"), sendA, 0)
	if c := awaitOf(t, r, sendA); c.Errno() != unix.EBADF {
		t.Errorf("send to a bad descriptor: %+v", c)
	}
	r.Send(a, nil, sendA, 0)
	if c := awaitOf(t, r, sendA); c.Res != 0 && c.Errno() != unix.EPIPE {
		t.Errorf("empty send: %+v", c)
	}
}

// More submissions than the queue holds go through in the same turn, in order.
func TestQueueFull(t *testing.T) {
	r := ring(t, Config{Entries: 4, CQEntries: 256})
	for i := range 103 {
		r.Nop(uint64(i))
	}
	for i := range 103 {
		awaitOf(t, r, uint64(i))
	}
	quiet(t, r)
}

// While the kernel refuses to take submissions they wait behind the queue, in order, and go through once it takes them again.
func TestBacklog(t *testing.T) {
	r := ring(t, Config{Entries: 4})
	fd := r.fd
	r.fd = 1 << 20 // no such descriptor
	for i := range 50 {
		r.Nop(uint64(i))
	}
	if len(r.backlog) != 46 {
		t.Fatalf("%d in the backlog, want 46", len(r.backlog))
	}
	if err := r.SubmitAndWait(1, 0); err == nil {
		t.Fatal("no error from a ring that is not there")
	}
	r.fd = fd
	for i := range 50 {
		if i == 10 {
			r.Nop(50)
		}
		awaitOf(t, r, uint64(i))
	}
	awaitOf(t, r, 50)
	if len(r.backlog) != 0 {
		t.Fatalf("%d left in the backlog", len(r.backlog))
	}
}

// A send that must not wait completes when it is submitted: whole, in part, or refused. So one call can submit it and sleep
// until something else comes.
func TestSubmitAndSleep(t *testing.T) {
	r := ring(t, Config{BufferCount: 4, BufferSize: 64})
	near, far := pair(t)
	r.RecvMultishot(near, recvA)
	if _, err := unix.Write(far, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	want := []byte("x")
	r.Send(near, want, sendA, SendNow)
	if err := r.SubmitAndSleep(2, -1); err != nil {
		t.Fatal(err)
	}
	got := awaitAll(t, r, 2)
	if len(got[sendA]) != 1 || got[sendA][0].Res != 1 || len(got[recvA]) != 1 || got[recvA][0].Res != 5 {
		t.Fatalf("completions: %+v", got)
	}

	much := pattern(8 << 20)
	r.Send(near, much, sendA, SendNow)
	if err := r.SubmitAndSleep(1, -1); err != nil {
		t.Fatal(err)
	}
	if c := awaitOf(t, r, sendA); c.Res <= 0 || int(c.Res) >= len(much) {
		t.Errorf("a send of 8 MiB: %+v, want a part", c)
	}
	r.Send(near, want, sendA, SendNow)
	if err := r.SubmitAndSleep(2, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if c := awaitOf(t, r, sendA); c.Errno() != unix.EAGAIN {
		t.Errorf("a send without room: %+v, want EAGAIN", c)
	}
	quiet(t, r)
	runtime.KeepAlive(want)
	runtime.KeepAlive(much)
}
