package badinput

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
	"spillway/test/raw"
)

// bystander works all the while and must not notice anything.
type bystander struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	served atomic.Int64
	failed atomic.Pointer[error]
}

func watch(t *testing.T, p *pgtest.Pooler) *bystander {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	b := &bystander{stop: stop}
	conn, err := pgx.Connect(ctx, p.URL(pgtest.Login{Database: "app"}))
	if err != nil {
		t.Fatal(err)
	}
	b.done.Go(func() {
		defer conn.Close(context.Background())
		for ctx.Err() == nil {
			limited, end := context.WithTimeout(context.Background(), raw.Limit)
			var n int
			err := conn.QueryRow(limited, "SELECT $1::int + 1", b.served.Load()%1000).Scan(&n)
			end()
			if err != nil {
				b.failed.Store(&err)
				return
			}
			b.served.Add(1)
			time.Sleep(time.Millisecond) // a steady client, not a load
		}
	})
	return b
}

// leave ends the bystander's work and asks how it was.
func (b *bystander) leave(t *testing.T) {
	t.Helper()
	b.stop()
	b.done.Wait()
	if err := b.failed.Load(); err != nil {
		t.Errorf("the bystander was disturbed after %d queries: %v", b.served.Load(), *err)
	}
	if b.served.Load() == 0 {
		t.Error("the bystander was not served at all")
	}
	t.Logf("the bystander was served %d times", b.served.Load())
}

// footing is what a process holds.
type footing struct{ files, goroutines, clients int }

func (f footing) String() string {
	return fmt.Sprintf("%d files, %d goroutines, %d clients", f.files, f.goroutines, f.clients)
}

var goroutines = regexp.MustCompile(`(?m)^go_goroutines (\d+)`)

func stand(p *pgtest.Pooler) (footing, error) {
	var f footing
	files, err := os.ReadDir("/proc/" + strconv.Itoa(p.PID()) + "/fd")
	if err != nil {
		return f, err
	}
	f.files = len(files)
	client := http.Client{Timeout: raw.Limit, Transport: &http.Transport{DisableKeepAlives: true}}
	text, err := get(&client, "http://"+p.Admin+"/metrics")
	if err != nil {
		return f, err
	}
	m := goroutines.FindStringSubmatch(text)
	if m == nil {
		return f, fmt.Errorf("read metrics: no go_goroutines in %d bytes", len(text))
	}
	f.goroutines, _ = strconv.Atoi(m[1])
	rows, err := pgtest.Console(p, "SHOW CLIENTS")
	f.clients = len(rows)
	return f, err
}

// settle waits until the process holds no more than before.
func settle(t *testing.T, p *pgtest.Pooler, before footing) {
	t.Helper()
	const slack = 3 // a scrape or a console of our own that is still closing
	deadline := time.Now().Add(raw.Limit)
	for {
		now, err := stand(p)
		if err != nil {
			t.Fatal(err)
		}
		if now.files <= before.files+slack && now.goroutines <= before.goroutines+slack && now.clients <= before.clients {
			t.Logf("before: %v; after: %v", before, now)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("something leaked: before %v, after %v", before, now)
		}
		time.Sleep(50 * time.Millisecond) // there is no event to wait for in another process
	}
}
