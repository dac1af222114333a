package node

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// supervisor tells systemd what the process is doing. Without NOTIFY_SOCKET
// every call does nothing.
type supervisor struct {
	send  func(state string) error
	clock func() (micros int64)
	// watchdog is how long systemd waits for a sign of life; 0 = it does not.
	watchdog time.Duration
}

// newSupervisor reads the environment systemd gives its services.
func newSupervisor() (*supervisor, error) {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("read systemd's watchdog setting: %w", err)
	}
	return &supervisor{
		send: func(state string) error {
			if _, err := daemon.SdNotify(false, state); err != nil {
				return fmt.Errorf("notify systemd: %w", err)
			}
			return nil
		},
		clock:    monotonicMicros,
		watchdog: watchdog,
	}, nil
}

// Ready ends the start or a reload.
func (s *supervisor) Ready(status string) error {
	return s.send(daemon.SdNotifyReady + "\n" + statusLine(status))
}

// Reloading begins a reload, as Type=notify-reload asks for.
func (s *supervisor) Reloading() error {
	return s.send(daemon.SdNotifyReloading + "\nMONOTONIC_USEC=" + strconv.FormatInt(s.clock(), 10))
}

// Stopping begins the end.
func (s *supervisor) Stopping(status string) error {
	return s.send(daemon.SdNotifyStopping + "\n" + statusLine(status))
}

// Status shows one line in `systemctl status`.
func (s *supervisor) Status(status string) error { return s.send(statusLine(status)) }

// Alive feeds the watchdog.
func (s *supervisor) Alive() error { return s.send(daemon.SdNotifyWatchdog) }

// MoreTime asks systemd not to kill a drain that makes progress.
func (s *supervisor) MoreTime(d time.Duration) error {
	return s.send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10))
}

// statusLine keeps a status to its one line: a line break would begin another
// variable of the protocol.
func statusLine(status string) string {
	return "STATUS=" + strings.NewReplacer("\n", " ", "\r", " ").Replace(status)
}

// monotonicMicros is CLOCK_MONOTONIC, which Go's clock does not show.
func monotonicMicros() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return now.Nano() / 1000
}
