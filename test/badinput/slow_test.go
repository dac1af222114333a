package badinput

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"spillway/internal/pgtest"
	"spillway/test/raw"
)

// TestSlowReaders: clients that ask for 256 MiB and read nothing cost a few
// buffers each (the bound leaves room for what a young process grows by itself), hold up nobody, and are let go when a timeout is over, though
// their last words stay unread.
func TestSlowReaders(t *testing.T) {
	eachDriver(t, func(t *testing.T, k pgtest.Kind) {
		p := begin(t, k, pgtest.PoolerConfig{Users: map[string]string{"postgres": ""}, Set: map[string]any{"timeouts.query": "10s", "timeouts.cancel_wait": "3s"}})
		b := watch(t, p)
		before, err := stand(p)
		if err != nil {
			t.Fatal(err)
		}
		const readers = 3 // of four servers
		memory := memoryOf(t, p)
		for range readers {
			c, err := raw.Dial(p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Login(map[string]string{"user": "postgres", "database": "app"}); err != nil {
				t.Fatal(err)
			}
			if err := c.Send(query("SELECT repeat('x', 65536) FROM generate_series(1, 4096)")); err != nil {
				t.Fatal(err)
			}
		}
		for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			if os.Getenv("SPILLWAY_RACE") != "" {
				break // the detector's own memory is many times the program's
			}
			if grown := memoryOf(t, p) - memory; grown > 64<<20 {
				t.Fatalf("%d readers that do not read cost %d bytes", readers, grown)
			}
		}
		settle(t, p, before)
		b.leave(t)
	})
}

func query(sql string) []byte { return append(message('Q', uint32(4+len(sql)+1), []byte(sql)...), 0) }

var resident = regexp.MustCompile(`(?m)^Rss:\s+(\d+) kB`)

// memoryOf is what the process has in memory, in bytes.
func memoryOf(t *testing.T, p *pgtest.Pooler) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	m := resident.FindSubmatch(text)
	if m == nil {
		t.Fatalf("no Rss in %q", text)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
