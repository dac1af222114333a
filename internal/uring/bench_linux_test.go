package uring

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

const benchConns = 64

// pinger keeps a message going round on each of its connections, from a thread of its own, by epoll: the same peer for every engine.
// It ends when stop is closed and every message is back.
func pinger(b *testing.B, fds []int, rounds int, done chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	done <- ping(fds, rounds)
}

func ping(fds []int, rounds int) error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(ep)
	left := make(map[int32]int, len(fds))
	message, in := bytes.Repeat([]byte("x"), 64), make([]byte, 256)
	for _, fd := range fds {
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return err
		}
		left[int32(fd)] = rounds
		if _, err := unix.Write(fd, message); err != nil {
			return err
		}
	}
	events := make([]unix.EpollEvent, len(fds))
	for open := len(fds); open > 0; {
		n, err := unix.EpollWait(ep, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, ev := range events[:max(n, 0)] {
			if _, err := unix.Read(int(ev.Fd), in); err != nil {
				return err
			}
			if left[ev.Fd]--; left[ev.Fd] == 0 {
				open--
				continue
			}
			if _, err := unix.Write(int(ev.Fd), message); err != nil {
				return err
			}
		}
	}
	return nil
}

// threadCPU is the processor time of the calling thread in ns.
func threadCPU(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/thread-self/schedstat")
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseInt(string(bytes.Fields(text)[0]), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// benchPairs opens the connections: unix socket pairs, or loopback TCP, which costs what a pooler's does.
func benchPairs(b *testing.B, tcp bool) (near, far []int) {
	ln, at := listener(b)
	for range benchConns {
		var p [2]int
		if tcp {
			p[1] = dial(b, at)
			c, _, err := unix.Accept4(ln, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err != nil {
				b.Fatal(err)
			}
			p[0] = c
			for _, fd := range p {
				if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
					b.Fatal(err)
				}
			}
			b.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
		} else {
			p[0], p[1] = pair(b)
		}
		near, far = append(near, p[0]), append(far, p[1])
	}
	return near, far
}

// BenchmarkPingPong echoes on 64 connections; an op is one echo. cpu-ns/op is the loop thread's own.
func BenchmarkPingPong(b *testing.B) {
	for name, tcp := range map[string]bool{"unix": false, "tcp": true} {
		b.Run(name+"/io_uring", func(b *testing.B) { benchUring(b, tcp) })
		b.Run(name+"/epoll", func(b *testing.B) { benchEpoll(b, tcp) })
	}
}

func benchUring(b *testing.B, tcp bool) {
	r := ring(b, Config{BufferCount: 128, BufferSize: 4096})
	near, far := benchPairs(b, tcp)
	l := newRelay(b, r, near)
	rounds := b.N/benchConns + 1
	done := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	start, turns := threadCPU(b), 0
	go pinger(b, far, rounds, done)
	for l.delivered < rounds*benchConns*64 {
		l.turn()
		turns++
	}
	report(b, start, turns, rounds)
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func report(b *testing.B, start int64, turns, rounds int) {
	b.StopTimer()
	echoes := float64(rounds * benchConns)
	b.ReportMetric(float64(threadCPU(b)-start)/echoes, "cpu-ns/op")
	b.ReportMetric(echoes/float64(turns), "echoes/turn")
}

func benchEpoll(b *testing.B, tcp bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	near, far := benchPairs(b, tcp)
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(ep)
	for _, fd := range near {
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xffffffff, Fd: int32(fd)}); err != nil {
			b.Fatal(err)
		}
	}
	rounds := b.N/benchConns + 1
	done := make(chan error, 1)
	events, in := make([]unix.EpollEvent, 256), make([]byte, 4096)
	b.ReportAllocs()
	b.ResetTimer()
	start, turns := threadCPU(b), 0
	go pinger(b, far, rounds, done)
	for echoed := 0; echoed < rounds*benchConns; turns++ {
		for _, ev := range events[:epollTurn(b, ep, events)] {
			n := rawRead(b, int(ev.Fd), in)
			rawWrite(b, int(ev.Fd), in[:n])
			echoed++
		}
	}
	report(b, start, turns, rounds)
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
