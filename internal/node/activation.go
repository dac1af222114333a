package node

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"spillway/internal/proxy"
)

// inherited are the listeners systemd has opened for clients; the admin address
// is always opened here.
type inherited []proxy.Listen

// inheritListeners takes over the sockets of socket activation; the proxy
// closes them.
func inheritListeners() (inherited, error) {
	var found inherited
	for _, file := range activation.Files(true) {
		listen, err := takeListener(file)
		if err != nil {
			return nil, fmt.Errorf("take over socket %q from systemd: %w", file.Name(), err)
		}
		found = append(found, listen)
	}
	return found, nil
}

// takeListener keeps a copy of the descriptor and closes the file: the number
// must outlive the *os.File, whose finalizer would close it.
func takeListener(file *os.File) (proxy.Listen, error) {
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return proxy.Listen{}, fmt.Errorf("copy descriptor: %w", err)
	}
	if err := file.Close(); err != nil {
		return proxy.Listen{}, err
	}
	return describeListener(fd)
}

// describeListener asks the kernel where fd listens.
func describeListener(fd int) (proxy.Listen, error) {
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return proxy.Listen{}, fmt.Errorf("ask whether it listens: %w", err)
	}
	if accepts == 0 {
		return proxy.Listen{}, fmt.Errorf("descriptor %d does not listen; use ListenStream= and Accept=no", fd)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return proxy.Listen{}, fmt.Errorf("ask for its address: %w", err)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return tcpListen(fd, name.Addr[:], name.Port), nil
	case *unix.SockaddrInet6:
		return tcpListen(fd, name.Addr[:], name.Port), nil
	case *unix.SockaddrUnix:
		return proxy.Listen{Network: "unix", Address: name.Name, FD: fd}, nil
	}
	return proxy.Listen{}, fmt.Errorf("descriptor %d is neither TCP nor a unix socket", fd)
}

func tcpListen(fd int, ip net.IP, port int) proxy.Listen {
	return proxy.Listen{Network: "tcp", Address: net.JoinHostPort(ip.String(), strconv.Itoa(port)), FD: fd}
}

// listen returns where clients connect: with sockets from systemd the unit says
// it alone, as PgBouncer has it, and the configured addresses are not opened.
func (in inherited) listen(configured []proxy.Listen) []proxy.Listen {
	if len(in) == 0 {
		return configured
	}
	return in
}
