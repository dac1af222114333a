package proxy

import (
	"fmt"
	"log/slog"
)

// newDriver makes the driver a config names; auto takes the best the kernel
// permits and says why not a better one.
func newDriver(name string, s sink, log *slog.Logger) (driver, error) {
	switch name {
	case "epoll":
		return newEpoll(s)
	case "io_uring":
		return newRing(s)
	case "goroutine":
		return newGoroutine(s)
	case "", "auto":
		d, err := newRing(s)
		if err == nil {
			return d, nil
		}
		log.Info("io_uring is not to be had, using epoll", "reason", err)
		return newEpoll(s)
	}
	return nil, fmt.Errorf("unknown driver %q: want auto, epoll, io_uring or goroutine", name)
}
