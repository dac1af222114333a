package uring

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Clients that stream, stall, half-close, reset and vanish at random against a driver by the rules of doc.go, with so few buffers and
// completions that both run out: whoever ends well has every byte back in order, and in the end nothing is left: no slot, no buffer,
// no request, no descriptor.
func TestLifecycle(t *testing.T) {
	const clients, lives = 12, 15
	before := openDescriptors(t)
	r := ring(t, Config{Entries: 8, CQEntries: 16, BufferCount: 8, BufferSize: 1024})
	ln, at := listener(t)
	wakeFD := eventfd(t)
	d := &testDriver{t: t, r: r, listener: ln, wakeFD: wakeFD}
	r.AcceptMultishot(ln, kindAccept<<56)
	r.PollMultishot(wakeFD, unix.POLLIN, kindWake<<56)

	var running sync.WaitGroup
	var finished atomic.Bool
	for i := range clients {
		running.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 42))
			at := *at.(*unix.SockaddrInet4) // a call writes into it
			for life := range lives {
				if err := liveOnce(&at, rng); err != nil {
					t.Errorf("client %d, life %d: %v", i, life, err)
					return
				}
			}
		})
	}
	go func() {
		running.Wait()
		finished.Store(true)
		wake(t, wakeFD)
	}()
	for start := time.Now(); !finished.Load() || d.open > 0 || d.counts.accepted < clients*lives; {
		d.turn()
		if time.Since(start) > 3*deadline {
			t.Fatalf("stuck: %d open, %+v", d.open, d.counts)
		}
	}
	t.Logf("%+v, %d slots", d.counts, len(d.endpoints))
	if len(d.free) != len(d.endpoints) {
		t.Errorf("%d of %d slots free", len(d.free), len(d.endpoints))
	}
	if d.counts.pauses == 0 || d.counts.starved == 0 || d.counts.shorts == 0 || d.counts.held == 0 || d.counts.cancels == 0 || d.counts.ends == 0 {
		t.Errorf("not everything was met: %+v", d.counts)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	unix.Close(ln)
	unix.Close(wakeFD)
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors open before, %d after", before, after)
	}
}

// liveOnce is one connection: an error only if the echo is wrong.
func liveOnce(at unix.Sockaddr, rng *rand.Rand) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, at); err != nil {
		return err
	}
	out := make([]byte, rng.IntN(400<<10))
	for i := range out {
		out[i] = byte(rng.Uint32())
	}
	switch rng.IntN(4) {
	case 0: // write all, end, only then read: the driver must pause
		return streamThenRead(fd, out[:min(len(out), 150<<10)])
	case 1: // read while writing, then end
		return streamWhileReading(fd, out)
	case 2: // vanish with bytes under way
		_, err := unix.Write(fd, out[:min(len(out), 40<<10)])
		return ignoreBroken(err)
	default: // reset with bytes under way
		if _, err := unix.Write(fd, out[:min(len(out), 40<<10)]); ignoreBroken(err) != nil {
			return err
		}
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
}

func ignoreBroken(err error) error {
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return nil
	}
	return err
}

func streamThenRead(fd int, out []byte) error {
	// Room for what the driver cannot hold.
	for _, opt := range []int{unix.SO_SNDBUF, unix.SO_RCVBUF} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, 1<<20); err != nil {
			return err
		}
	}
	if err := writeAll(fd, out); err != nil {
		return err
	}
	return readEcho(fd, out)
}

func streamWhileReading(fd int, out []byte) error {
	wrote := make(chan error, 1)
	go func() { wrote <- writeAll(fd, out) }()
	return errors.Join(readEcho(fd, out), <-wrote)
}

// writeAll writes out in pieces and ends the stream.
func writeAll(fd int, out []byte) error {
	for len(out) > 0 {
		n, err := unix.Write(fd, out[:min(len(out), 1+len(out)/3)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		out = out[n:]
	}
	return unix.Shutdown(fd, unix.SHUT_WR)
}

func readEcho(fd int, want []byte) error {
	got := readN(fd, len(want)+1)
	if !bytes.Equal(got, want) {
		return fmt.Errorf("echo of %d bytes: got %d, or others", len(want), len(got))
	}
	return nil
}
