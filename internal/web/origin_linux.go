package web

import (
	"net"
	"syscall"
)

// soReusePort is SO_REUSEPORT of Linux; package syscall has no name for it.
const soReusePort = 0xf

func reusePort(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReusePort, 1)
	})
	if err != nil {
		return err
	}
	return failed
}

// peerUser is the user at the other end of a unix socket, as the kernel says.
func peerUser(conn *net.UnixConn) (uid uint32, ok bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	var credentials *syscall.Ucred
	err = raw.Control(func(fd uintptr) {
		credentials, _ = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || credentials == nil {
		return 0, false
	}
	return credentials.Uid, true
}
