package probe

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"spillway/internal/sample"
)

// Machine reads what Linux tells of itself and of this process.
type Machine struct {
	Slot[sample.Machine]
	busy, all, own float64 // of the reading before
	at             time.Time
}

// ticksPerSecond is USER_HZ, in which /proc counts; 100 on every Linux that Go
// runs on.
const ticksPerSecond = 100

// Look implements Probe.Run.
func (m *Machine) Look(context.Context) error {
	now := time.Now()
	s := &sample.Machine{At: now, CPUs: runtime.NumCPU(), Goroutines: runtime.NumGoroutine()}
	busy, all, stolen, err := cpuTimes()
	if err != nil {
		return err
	}
	own, resident, err := ownTimes()
	if err != nil {
		return err
	}
	s.StolenSeconds, s.OwnMemory = stolen, resident
	if s.MemoryTotal, s.MemoryFree, err = memory(); err != nil {
		return err
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(text), " ")
		s.Load, _ = strconv.ParseFloat(first, 64)
	}
	first := m.at.IsZero()
	if span := now.Sub(m.at).Seconds(); !first && span > 0 && all > m.all {
		s.CPU = (busy - m.busy) / (all - m.all)
		s.Own = (own - m.own) / span
	}
	m.busy, m.all, m.own, m.at = busy, all, own, now
	if !first {
		m.Set(s)
	}
	return nil
}

func cpuTimes() (busy, all, stolen float64, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, 0, fmt.Errorf("read CPU times: %w", err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, 0, 0, fmt.Errorf("read CPU times: /proc/stat is not as expected")
	}
	// user nice system idle iowait irq softirq steal; guests are within user
	for i, f := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, 0, 0, fmt.Errorf("read CPU times: %w", err)
		}
		all += n
		if i != 3 && i != 4 {
			busy += n
		}
		if i == 7 {
			stolen = n / ticksPerSecond
		}
	}
	return busy, all, stolen, nil
}

func ownTimes() (cpuSeconds, residentBytes float64, err error) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read own times: %w", err)
	}
	// The command's name, in parentheses, may hold spaces.
	at := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[at+1:]))
	if at < 0 || len(fields) < 22 {
		return 0, 0, fmt.Errorf("read own times: /proc/self/stat is not as expected")
	}
	number := func(field int) float64 { // as proc(5) counts them
		n, _ := strconv.ParseFloat(fields[field-3], 64)
		return n
	}
	return (number(14) + number(15)) / ticksPerSecond, number(24) * float64(os.Getpagesize()), nil
}

func memory() (total, free float64, err error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		n, _ := strconv.ParseFloat(fields[0], 64)
		switch name {
		case "MemTotal":
			total = n * 1024
		case "MemAvailable":
			free = n * 1024
		}
	}
	if total == 0 {
		return 0, 0, fmt.Errorf("read memory: /proc/meminfo is not as expected")
	}
	return total, free, nil
}
