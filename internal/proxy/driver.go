package proxy

import (
	"fmt"
	"log/slog"
	"runtime"
	"time"
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

// sparse is true where events come one at a time, so that looking for one
// before waiting for it is in vain.
func (c bustle) sparse() bool { return c < oneEvent*17/16 }

// breath is the time at which a loop last let Go's scheduler have it.
type breath struct{ at time.Time }

// breathEvery is half of what the scheduler lets a goroutine have at a time
// (forcePreemptNS in Go's runtime/proc.go).
const breathEvery = 5 * time.Millisecond

// take is called before a sleep. The runtime's watcher takes the processor from a
// goroutine that has not been scheduled for 10 ms, at each of its sleeps, and
// then looks every 20 µs: with one client that was a seventh of all CPU time.
func (b *breath) take() {
	if now := time.Now(); now.Sub(b.at) > breathEvery {
		b.at = now
		runtime.Gosched()
	}
}
