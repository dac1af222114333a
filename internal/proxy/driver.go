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

// bustle tells how much a loop has under way at a time: the mean number of
// events that its latest turns found, times oneEvent.
type bustle int

const oneEvent = 256

func (c *bustle) add(events int) { *c += (bustle(events)*oneEvent - *c) / 8 }

// dense is true where a turn has so many that it ends soon for none of them.
func (c bustle) dense() bool { return c >= oneEvent*4 }
