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

// adminSocket is the FileDescriptorName= of an inherited listener that serves
// the API and page; every other one serves clients.
const adminSocket = "admin"

// inherited are the listeners systemd has opened for this process.
type inherited struct {
	clients []proxy.Listen
	admin   net.Listener // nil when there is none
}

// inheritListeners takes over the sockets of socket activation. The proxy
// closes those in clients, the caller the one in admin.
func inheritListeners() (inherited, error) {
	var found inherited
	for _, file := range activation.Files(true) {
		if err := found.add(file); err != nil {
			return inherited{}, fmt.Errorf("take over socket %q from systemd: %w", file.Name(), err)
		}
	}
	return found, nil
}

func (in *inherited) add(file *os.File) error {
	if file.Name() == adminSocket {
		listener, err := net.FileListener(file) // a copy: ours is closed
		if err != nil {
			return err
		}
		in.admin = listener
		return file.Close()
	}
	// The number outlives the *os.File, whose finalizer would close it.
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return fmt.Errorf("copy descriptor: %w", err)
	}
	if err := file.Close(); err != nil {
		return err
	}
	listen, err := describeListener(fd)
	if err != nil {
		return err
	}
	in.clients = append(in.clients, listen)
	return nil
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
func (in *inherited) listen(configured []proxy.Listen) []proxy.Listen {
	if len(in.clients) == 0 {
		return configured
	}
	return in.clients
}
