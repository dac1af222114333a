package machine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken below Linux's ephemeral range (32768 and up): a server that
// restarts must find its port again, and must not lose it to an outgoing
// connection in between.
const firstPort, lastPort = 12000, 32000

// FreePort returns a loopback TCP port on which nobody listens now.
func FreePort() (int, error) {
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("close probe of port %d: %w", port, err)
		}
		return port, nil
	}
	return 0, errors.New("find free port: none of 200 tries")
}
