package proxy

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// accept connects to a listening socket and returns both ends.
func accept(t *testing.T, fd int, network, at string) (int, net.Conn) {
	t.Helper()
	c, err := net.Dial(network, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	own, err := acceptOne(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(own) })
	return own, c
}

func listening(t *testing.T, ip string) (int, string) {
	t.Helper()
	fd, err := tcpSocket(netip.MustParseAddr(ip), 0, false, 16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd, localOf(fd).String()
}

// What accepted relies on: clients' sockets have what their listener had.
func TestSocketsInheritFromTheirListener(t *testing.T) {
	fd, at := listening(t, "127.0.0.1")
	for _, alive := range []time.Duration{77 * time.Second, 0, 33 * time.Second} {
		tune(fd, alive)
		own, _ := accept(t, fd, "tcp", at)
		option := func(level, name, want int) {
			if got, err := unix.GetsockoptInt(own, level, name); err != nil || got != want {
				t.Errorf("keepalive %v: option %d of level %d is %d, %v; want %d", alive, name, level, got, err, want)
			}
		}
		option(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		option(unix.SOL_SOCKET, unix.SO_KEEPALIVE, min(int(alive), 1))
		if alive > 0 {
			option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(alive/time.Second))
		}
	}
}

func TestPeerOf(t *testing.T) {
	for _, ip := range []string{"127.0.0.1", "::1"} {
		fd, at := listening(t, ip)
		own, c := accept(t, fd, "tcp", at)
		if addr, local := peerOf(own); local || addr.String() != c.LocalAddr().String() {
			t.Errorf("peer is %v, local %v; want %v", addr, local, c.LocalAddr())
		}
	}
	at := filepath.Join(t.TempDir(), "s")
	fd, _, err := unixSocket(Listen{Network: "unix", Address: at}, 16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	own, _ := accept(t, fd, "unix", at)
	if addr, local := peerOf(own); !local || addr.IsValid() {
		t.Errorf("peer of a unix socket is %v, local %v", addr, local)
	}
}
