package gauge

import (
	"os"
	"strconv"
	"strings"
)

// backends counts the clients of a postmaster by role, from the titles that
// PostgreSQL gives its processes ("postgres: api app 127.0.0.1(4711) idle"):
// that takes no slot, and works while the server answers nobody. Those that are
// asked for their password are among them, as they hold a slot; those that wait
// for one ("initializing") are not.
func backends(postmaster int) (counts, busy map[string]int) {
	counts, busy = map[string]int{}, map[string]int{}
	for _, pid := range children(postmaster) {
		title, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err != nil {
			continue // gone
		}
		role, idle := roleOf(string(title))
		if role == "" {
			continue
		}
		counts[role]++
		if !idle {
			busy[role]++
		}
	}
	return counts, busy
}

// children reads the kernel's list of a process's children.
func children(pid int) []int {
	id := strconv.Itoa(pid)
	raw, err := os.ReadFile("/proc/" + id + "/task/" + id + "/children")
	if err != nil {
		return nil
	}
	var pids []int
	for field := range strings.FieldsSeq(string(raw)) {
		if n, err := strconv.Atoi(field); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

// roleOf returns whom a process serves, "" for one that serves no client, and
// whether it waits for its client.
func roleOf(title string) (role string, idle bool) {
	rest, titled := strings.CutPrefix(strings.TrimRight(title, "\x00 "), "postgres: ")
	fields := strings.Fields(rest)
	if !titled || len(fields) < 4 || fields[3] == "initializing" || !strings.Contains(fields[2], "(") && fields[2] != "[local]" {
		return "", false
	}
	return fields[0], fields[3] == "idle"
}
