//go:build !linux

package web

import (
	"errors"
	"net"
	"syscall"
)

func reusePort(_, _ string, _ syscall.RawConn) error {
	return errors.New("SO_REUSEPORT is only supported on Linux")
}

// peerUser never knows: the socket then obeys nobody.
func peerUser(*net.UnixConn) (uid uint32, ok bool) { return 0, false }
