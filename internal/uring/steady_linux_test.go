package uring

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// relay is a loop in miniature: what arrives at one end of each connection is sent back, turn by turn, without allocating.
type relay struct {
	t         testing.TB
	r         *Ring
	fds       []int
	out       [][]byte // in flight while sending
	fresh     bool     // a new out-buffer for every message, instead of reusing one
	delivered int
}

func newRelay(t testing.TB, r *Ring, fds []int) *relay {
	l := &relay{t: t, r: r, fds: fds, out: make([][]byte, len(fds))}
	for i, fd := range fds {
		l.out[i] = make([]byte, 0, 1024)
		r.RecvMultishot(fd, recvA|uint64(i)<<8)
	}
	return l
}

func (l *relay) turn() {
	if err := l.r.SubmitAndWait(1, deadline); err != nil {
		l.t.Fatal(err)
	}
	for c, ok := l.r.Next(); ok; c, ok = l.r.Next() {
		i := int(c.UserData >> 8)
		if c.UserData&0xff == sendA {
			l.delivered += int(max(c.Res, 0))
			continue
		}
		if c.Res > 0 {
			if l.fresh {
				l.out[i] = nil
			}
			l.out[i] = append(l.out[i][:0], l.r.Buffer(c.BufferID(), c.Res)...)
			l.r.Send(l.fds[i], l.out[i], sendA|uint64(i)<<8, SendAll)
		} else if c.Errno() != unix.ENOBUFS {
			l.t.Errorf("receive: %+v (%v)", c, c.Errno())
		}
		if c.HasBuffer() {
			l.r.Recycle(c.BufferID())
		}
		if !c.More() {
			l.r.RecvMultishot(l.fds[i], c.UserData)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	const conns = 8
	r := ring(t, Config{Entries: 32, BufferCount: 16, BufferSize: 256})
	near, far := make([]int, conns), make([]int, conns)
	for i := range conns {
		near[i], far[i] = pair(t)
	}
	l := newRelay(t, r, near)
	message, answer := []byte("select 1"), make([]byte, 64)
	round := func() {
		for _, fd := range far {
			if _, err := unix.Write(fd, message); err != nil {
				t.Fatal(err)
			}
		}
		for want := l.delivered + conns*len(message); l.delivered < want; {
			l.turn()
		}
		for _, fd := range far {
			if n, err := unix.Read(fd, answer); n != len(message) || err != nil {
				t.Fatal(n, err)
			}
		}
	}
	round()
	if n := testing.AllocsPerRun(200, round); n != 0 {
		t.Fatalf("%v allocations per round of %d echoes", n, conns)
	}
}

// The collector runs all the time while peers on their own goroutines check every byte that comes back.
func TestUnderGarbageCollection(t *testing.T) {
	const conns, messages = 8, 400
	r := ring(t, Config{Entries: 16, BufferCount: 8, BufferSize: 512})
	near, far := make([]int, conns), make([]int, conns)
	for i := range conns {
		near[i], far[i] = pair(t)
	}
	l := newRelay(t, r, near)
	l.fresh = true // only the relay's slice keeps a message alive while it is sent
	var peers sync.WaitGroup
	for i, fd := range far {
		if err := unix.SetNonblock(fd, false); err != nil {
			t.Fatal(err)
		}
		peers.Go(func() { checkEchoes(t, fd, byte(i), messages) })
	}
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for start := time.Now(); l.delivered < conns*messages*echoSize && time.Since(start) < deadline; {
		l.turn()
	}
	if l.delivered != conns*messages*echoSize {
		t.Errorf("%d bytes delivered", l.delivered)
	}
	for _, fd := range far {
		if err := unix.Shutdown(fd, unix.SHUT_RD); err != nil { // ends peers that wait for what never comes
			t.Error(err)
		}
	}
	peers.Wait()
	close(stop)
	collector.Wait()
}

const echoSize = 300

// checkEchoes sends messages one by one and wants each back unchanged.
func checkEchoes(t *testing.T, fd int, fillWith byte, messages int) {
	message := bytes.Repeat([]byte{fillWith}, echoSize)
	for n := range messages {
		message[0], message[echoSize-1] = byte(n), byte(n>>1)
		if _, err := unix.Write(fd, message); err != nil {
			t.Error(err)
			return
		}
		if got := readN(fd, echoSize); !bytes.Equal(got, message) {
			t.Errorf("message %d: %d other bytes came back", n, len(got))
			return
		}
	}
}
