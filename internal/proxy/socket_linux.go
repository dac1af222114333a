package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listener is an address clients connect to; each loop has a socket of its own
// where the kernel can share them out.
type listener struct {
	at   Listen
	addr string
	path string      // of a unix socket: removed at the end
	made fs.FileInfo // the socket's file, to tell it from a successor's
	// inherited sockets may hold connections that came before we tuned it.
	inherited bool
}

func (ln *listener) close() {
	if ln.path == "" {
		return
	}
	if now, err := os.Lstat(ln.path); err == nil && os.SameFile(now, ln.made) {
		_ = os.Remove(ln.path)
	}
}

// listen opens the sockets of one address and gives them to the loops.
func (p *Proxy) listen(at Listen) ([]*listener, error) {
	if at.FD > 0 {
		return p.inherit(at)
	}
	if at.Network == "unix" {
		return p.listenUnix(at)
	}
	host, port, err := net.SplitHostPort(at.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", at.Address, err)
	}
	addrs := []string{host}
	if host == "" || host == "*" {
		addrs = []string{"0.0.0.0"}
		if unix6() {
			addrs = []string{"::"}
		}
	} else if _, err := netip.ParseAddr(host); err != nil {
		if addrs, err = net.LookupHost(host); err != nil {
			return nil, fmt.Errorf("listen on %q: %w", at.Address, err)
		}
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", at.Address, err)
	}
	var list []*listener
	for _, a := range addrs {
		ip, err := netip.ParseAddr(a)
		if err != nil {
			return nil, fmt.Errorf("listen on %q: %w", at.Address, err)
		}
		ln, err := p.listenTCP(at, ip, number)
		if err != nil {
			return nil, err
		}
		list = append(list, ln)
	}
	return list, nil
}

func unix6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

func (p *Proxy) listenTCP(at Listen, ip netip.Addr, port int) (*listener, error) {
	ln := &listener{at: at}
	for i, l := range p.loops {
		shared := len(p.loops) > 1
		fd, err := tcpSocket(ip, port, p.cfg.ReusePort || shared, orInt(p.cfg.Backlog, 4096))
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", netip.AddrPortFrom(ip, uint16(port)), err)
		}
		if i == 0 {
			sa, err := unix.Getsockname(fd)
			if err == nil {
				real, _ := addrOfSockaddr(sa)
				ln.addr, port = real.String(), int(real.Port())
			}
		}
		l.keepAlive = p.policy.Load().TCPKeepAlive
		tune(fd, l.keepAlive)
		l.lns = append(l.lns, newDoor(fd, ln))
	}
	return ln, nil
}

func tcpSocket(ip netip.Addr, port int, reuse bool, backlog int) (int, error) {
	family := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: port, Addr: ip.As16()}
	if ip.Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if family == unix.AF_INET6 && ip == netip.IPv6Unspecified() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if reuse {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// inherit takes a listener that was opened for us.
func (p *Proxy) inherit(at Listen) ([]*listener, error) {
	if err := unix.SetNonblock(at.FD, true); err != nil {
		return nil, fmt.Errorf("take inherited socket %d: %w", at.FD, err)
	}
	unix.CloseOnExec(at.FD)
	ln := &listener{at: at, inherited: true}
	if sa, err := unix.Getsockname(at.FD); err == nil {
		if a, ok := addrOfSockaddr(sa); ok {
			ln.addr = a.String()
		} else {
			ln.addr = "unix"
		}
	}
	for i, l := range p.loops {
		fd := at.FD
		if i > 0 {
			var err error
			if fd, err = unix.FcntlInt(uintptr(at.FD), unix.F_DUPFD_CLOEXEC, 0); err != nil {
				return nil, fmt.Errorf("take inherited socket: %w", err)
			}
		}
		l.lns = append(l.lns, newDoor(fd, ln))
	}
	return []*listener{ln}, nil
}

// listenUnix makes the socket under another name and moves it into place, so
// that clients find one of the two while a successor takes over.
func (p *Proxy) listenUnix(at Listen) ([]*listener, error) {
	if c, err := net.DialTimeout("unix", at.Address, time.Second); err == nil {
		_ = c.Close()
		if !p.cfg.ReusePort {
			return nil, fmt.Errorf("listen on %s: another process serves this socket (reuse_port: true takes it over)", at.Address)
		}
	}
	if err := os.MkdirAll(filepath.Dir(at.Address), 0o755); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", at.Address, err)
	}
	fd, made, err := unixSocket(at, orInt(p.cfg.Backlog, 4096))
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", at.Address, err)
	}
	ln := &listener{at: at, addr: at.Address, path: at.Address, made: made}
	p.loops[0].lns = append(p.loops[0].lns, newDoor(fd, ln))
	return []*listener{ln}, nil
}

func unixSocket(at Listen, backlog int) (fd int, made fs.FileInfo, err error) {
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, nil, err
	}
	next := filepath.Join(filepath.Dir(at.Address), ".s"+strconv.Itoa(os.Getpid())) // no longer than the name it gets
	_ = os.Remove(next)
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: next}); err == nil {
		err = unix.Listen(fd, backlog)
	}
	mode := os.FileMode(at.Mode)
	if mode == 0 {
		mode = 0o777
	}
	if err == nil {
		err = os.Chmod(next, mode)
	}
	if err == nil {
		err = os.Rename(next, at.Address)
	}
	if err == nil {
		made, err = os.Lstat(at.Address)
	}
	if err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, made, nil
}

// steer sends new connections of a shared port to the sockets that were bound
// after ours, if there are any: the kernel keeps the sockets of a port in the
// order in which they were bound and asks this program for an index. One that
// is out of range means the usual choice. An error leaves the usual choice.
func steer(fd, ours int) {
	program := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: uint32(ours)}}
	_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// acceptOne takes one connection that waits; an error means there is none.
func acceptOne(listener int) (int, error) {
	// Without an address: unix.Accept4 would also ask for the socket's protocol.
	fd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func addrOfSockaddr(sa unix.Sockaddr) (netip.AddrPort, bool) {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), true
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)), true
	}
	return netip.AddrPort{}, false
}

// peerOf tells where a connection comes from; local is true for unix sockets.
func peerOf(fd int) (addr netip.AddrPort, local bool) {
	// unix.Getpeername asks for the protocol as well, and allocates.
	var sa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	_, _, errno := syscall.RawSyscall(unix.SYS_GETPEERNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}, false
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), netOrder(a.Port)), false
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(&sa))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), netOrder(a.Port)), false
	}
	return netip.AddrPort{}, true
}

// netOrder reads a port as sockaddr has it, in the network's order of bytes.
func netOrder(port uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&port))[:])
}

func localOf(fd int) netip.AddrPort {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	a, _ := addrOfSockaddr(sa)
	return a
}

// tune sets what every client's TCP socket has. Sockets inherit it from their
// listener.
func tune(fd int, keepAlive time.Duration) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if keepAlive <= 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
		return
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAlive/time.Second))
}

// tuned sees to it that a client's socket is tuned. After a reload that changed
// keepAlive the listeners are tuned anew; what had connected by then, but for
// this client, keeps what it has.
func (l *loop) tuned(ln *endpoint, fd int, keepAlive time.Duration) {
	if l.keepAlive != keepAlive {
		l.keepAlive = keepAlive
		for _, ep := range l.lns {
			tune(int(ep.fd), keepAlive)
		}
	} else if !ln.ofListener().listener.inherited {
		return
	}
	tune(fd, keepAlive)
}

func sayAndClose(fd int, b []byte) {
	_, _ = unix.Write(fd, b)
	_ = unix.Shutdown(fd, unix.SHUT_WR)
	unix.Close(fd)
}

func closeFD(fd int) { unix.Close(fd) }

// peerUser is the operating system's user at the other end of a unix socket.
func peerUser(fd int) string {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return ""
	}
	u, err := user.LookupId(strconv.Itoa(int(cred.Uid)))
	if err != nil {
		return ""
	}
	return u.Username
}

func peerPID(fd int) int {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0
	}
	return int(cred.Pid)
}

// takeFD takes the socket out of a net.Conn, which is closed.
func takeFD(nc net.Conn) (int, error) {
	defer nc.Close()
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("take socket: %T has none", nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("take socket: %w", err)
	}
	fd, failed := -1, error(nil)
	err = raw.Control(func(s uintptr) { fd, failed = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, failed); err != nil {
		return -1, fmt.Errorf("take socket: %w", err)
	}
	return fd, nil
}
