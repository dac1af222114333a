package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"spillway/internal/pgtest"
)

// machine describes where the figures come from.
type machine struct {
	CPU        string   `json:"cpu"`
	Cores      int      `json:"cores"`
	MemoryGiB  int      `json:"memory_gib"`
	Kernel     string   `json:"kernel"`
	Go         string   `json:"go"`
	PostgreSQL string   `json:"postgresql"`
	Poolers    []string `json:"poolers"`
	Load       string   `json:"load"` // 1-minute load average before the first turn
}

func describeMachine(r *rig) machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Load: firstField("/proc/loadavg")}
	m.CPU = field("/proc/cpuinfo", "model name")
	if kb, err := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		m.MemoryGiB = (kb + 1<<19) >> 20
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	if rows, err := r.server.Query("SHOW server_version"); err == nil {
		m.PostgreSQL = rows[0][0]
	}
	for _, c := range r.contenders {
		m.Poolers = append(m.Poolers, strings.TrimSpace(c.Name+" "+c.version))
	}
	return m
}

func (m machine) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "%d × %s, %d GiB, Linux %s, %s; PostgreSQL %s (shared_buffers 256MB, fsync off) and the clients on the same machine; load average before: %s.\n",
		m.Cores, m.CPU, m.MemoryGiB, m.Kernel, m.Go, m.PostgreSQL, m.Load)
	fmt.Fprintf(b, "Poolers: %s.\n", strings.Join(m.Poolers, ", "))
}

// field returns the value of the first "name : value" line of a file.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstField(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	word, _, _ := strings.Cut(string(text), " ")
	return word
}

// version asks a pooler's program for its version; "" for direct.
func version(k pgtest.Kind) string {
	var out []byte
	var err error
	switch k.Program {
	case "pgbouncer":
		var path string
		if path, err = pgtest.Program("pgbouncer", "pgbouncer"); err == nil {
			out, err = exec.Command(path, "--version").Output()
		}
	case "spillway":
		var path string
		if path, err = pgtest.SpillwayBinary(); err == nil {
			out, err = exec.Command(path, "version").Output()
		}
	default:
		return ""
	}
	if err != nil {
		return "of unknown version"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimPrefix(line, "PgBouncer ")
}

// olderThan compares a dotted version; one that cannot be read is not older.
func olderThan(version string, major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(version, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a < major || a == major && b < minor
}
