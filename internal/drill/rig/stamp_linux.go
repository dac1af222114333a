package rig

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// stamp names a process for good: ids are used again, an id with its start
// time is not.
type stamp struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat
}

func stampOf(pid int) (stamp, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stamp{}, err
	}
	// The name, in parentheses, may hold anything; fields are counted behind it.
	text := string(raw)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return stamp{}, fmt.Errorf("read /proc/%d/stat: not as expected", pid)
	}
	begun, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stamp{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
	}
	return stamp{pid, begun}, nil
}

// alive tells whether that very process still runs.
func (s stamp) alive() bool {
	now, err := stampOf(s.PID)
	return err == nil && now == s
}
