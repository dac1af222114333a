package record

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
	"spillway/internal/record/store"
)

// natsMember makes this test binary one NATS server of a cluster: JSON of member.
const natsMember = "SPILLWAY_RECORD_NATS"

// member is one server of a NATS cluster, a process of its own.
type member struct {
	Name, Dir   string
	Port, Route int
	Routes      []string
	process     *exec.Cmd
}

// serveMember is what the process of a member does, until it is killed.
func serveMember(text string) error {
	var m member
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return err
	}
	var routes []*url.URL
	for _, one := range m.Routes {
		u, err := url.Parse(one)
		if err != nil {
			return err
		}
		routes = append(routes, u)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: m.Name, Host: "127.0.0.1", Port: m.Port, JetStream: true, StoreDir: m.Dir, SyncAlways: true, NoLog: true, NoSigs: true,
		Cluster: server.ClusterOpts{Name: "region", Host: "127.0.0.1", Port: m.Route}, Routes: routes,
	})
	if err != nil {
		return err
	}
	s.Start()
	fmt.Println("started")
	s.WaitForShutdown()
	return nil
}

// start runs the member's process until it is killed or the test ends.
func (m *member) start(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	m.process = exec.Command(os.Args[0])
	m.process.Env = append(os.Environ(), natsMember+"="+string(text))
	m.process.Stderr = os.Stderr
	pipe, err := m.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.kill)
	if line, err := bufio.NewReader(pipe).ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("NATS server %s: %q %v", m.Name, line, err)
	}
}

// kill ends the process without warning.
func (m *member) kill() {
	if m.process != nil {
		_ = m.process.Process.Kill()
		_ = m.process.Wait() // that it was killed is known
		m.process = nil
	}
}

// natsCluster starts three servers.
func natsCluster(t *testing.T) []*member {
	t.Helper()
	var members []*member
	var routes []string
	dir := t.TempDir()
	for n := range 3 {
		m := &member{Name: fmt.Sprint("n", n), Dir: filepath.Join(dir, fmt.Sprint(n)), Port: freePort(t), Route: freePort(t)}
		members, routes = append(members, m), append(routes, fmt.Sprint("nats://127.0.0.1:", m.Route))
	}
	for _, m := range members {
		m.Routes = routes
		m.start(t)
	}
	return members
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// leader is the server that leads the log's stream.
func leader(t *testing.T, members []*member, at string) *member {
	t.Helper()
	conn, err := nats.Connect(at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	var found *member
	eventually(t, "the stream has a leader", func() bool {
		stream, err := js.Stream(t.Context(), "SPILLWAY_us-east-1")
		if err != nil {
			return false
		}
		for _, m := range members {
			if at := stream.CachedInfo().Cluster; at != nil && at.Leader == m.Name {
				found = m
			}
		}
		return found != nil
	})
	return found
}

// load writes from four goroutines and keeps what was acknowledged.
type load struct {
	stop func()

	mu           sync.Mutex
	acknowledged map[string]bool // guarded by mu
}

func newLoad(t *testing.T, r *Record) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{acknowledged: map[string]bool{}}
	var writing sync.WaitGroup
	l.stop = sync.OnceFunc(func() { cancel(); writing.Wait() })
	t.Cleanup(l.stop)
	for g := range 4 {
		writing.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprint(g, ".", n)
				within, done := context.WithTimeout(context.Background(), 10*time.Second)
				err := r.Note(within, time.Now(), "test.load", map[string]string{"text": name})
				done()
				if err == nil {
					l.mu.Lock()
					l.acknowledged[name] = true
					l.mu.Unlock()
				} else {
					pause(ctx, 100*time.Millisecond) // a log that is away refuses at once
				}
			}
		})
	}
	return l
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// goesOn waits until more events are acknowledged.
func (l *load) goesOn(t *testing.T, what string, within time.Duration) {
	t.Helper()
	before, began := l.count(), time.Now()
	for end := began.Add(within); l.count() < before+20; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: %d events acknowledged in %v", what, l.count()-before, within)
		}
	}
	t.Logf("%s: 20 more events acknowledged after %v", what, time.Since(began).Round(time.Millisecond))
}

// TestThreeServersOneLog: the log on three NATS servers. The one that leads is
// killed in a write load: nothing acknowledged is lost and writing goes on. Two
// are killed: a finding, who tells something does not wait; and it goes on by
// itself when one is back.
func TestThreeServersOneLog(t *testing.T) {
	members := natsCluster(t)
	var urls []string
	for _, m := range members {
		urls = append(urls, fmt.Sprint("nats://127.0.0.1:", m.Port))
	}
	c := memberOf(strings.Join(urls, ","), "a")
	c.Store.Replicas = 3
	var mu sync.Mutex
	var health incident.Finding
	c.Found = func(f incident.Finding) { mu.Lock(); health = f; mu.Unlock() }
	sick := func() bool { mu.Lock(); defer mu.Unlock(); return health.Key == logKey && !health.Cleared }
	r, stop := run(t, c)
	l := newLoad(t, r)
	l.goesOn(t, "three servers", time.Minute)

	first := leader(t, members, c.Store.URL)
	first.kill()
	l.goesOn(t, "the leading one is killed", time.Minute)

	second := leader(t, members, c.Store.URL)
	second.kill()
	eventually(t, "two are killed: a finding", sick)
	r.Told(leak(incident.Page))
	if list := r.List(); len(list) != 1 {
		t.Errorf("incidents while the log is away are %+v", list)
	}
	first.start(t)
	l.goesOn(t, "one is back", time.Minute)
	eventually(t, "the finding is cleared, and all is written", func() bool { return !sick() && r.State().Open })
	second.start(t)
	l.stop()
	eventually(t, "all is written", func() bool { return r.State().Waiting == 0 })
	stop()
	checkCluster(t, c.Store, l.acknowledged)
}

// checkCluster looks for every event that was acknowledged, and at the chain.
func checkCluster(t *testing.T, c store.Config, acknowledged map[string]bool) {
	t.Helper()
	c.Log = slog.New(slog.DiscardHandler)
	there := map[string]int{}
	eventually(t, "the log is read", func() bool {
		s, err := store.Open(t.Context(), c)
		if err != nil {
			return false
		}
		defer s.Close()
		v, err := s.Verify(t.Context(), "")
		if err != nil {
			return false
		}
		if !v.Valid() {
			t.Fatalf("chain: %+v", v)
		}
		clear(there)
		err = s.Read(t.Context(), store.Which{}, func(m store.Stored) error {
			e, err := event.Decode(m.Bytes)
			var b struct{ Text string }
			if err == nil && e.Kind == "test.load" {
				err = e.Read(&b)
				there[b.Text]++
			}
			return err
		})
		return err == nil
	})
	for name := range acknowledged {
		if there[name] != 1 {
			t.Errorf("event %s is there %d times", name, there[name])
		}
	}
	t.Logf("%d events acknowledged, each there once", len(acknowledged))
}

// TestAServerThatWasAwayHidesNothing: one of three comes back behind the others.
// Who reads meanwhile reads all that was acknowledged, wherever the reader lands.
func TestAServerThatWasAwayHidesNothing(t *testing.T) {
	members := natsCluster(t)
	c := store.Config{URL: fmt.Sprint("nats://127.0.0.1:", members[0].Port), Replicas: 3, Region: "us-east-1", Log: slog.New(slog.DiscardHandler)}
	var log *store.Store
	eventually(t, "the log opens", func() (ok bool) {
		var err error
		log, err = store.Open(t.Context(), c)
		return err == nil
	})
	defer log.Close()
	away := members[1]
	if leader(t, members, c.URL) == away {
		away = members[2]
	}
	away.kill()
	const events = 1000
	place := event.Place{}
	for n := range events {
		e := event.Event{ID: fmt.Sprint(n), At: time.Now(), Kind: "test.load", Region: c.Region, Body: event.Body(n)}
		eventually(t, "an event is written", func() bool {
			next, err := log.Append(t.Context(), e, place)
			if err == nil {
				place = next
			}
			return err == nil
		})
	}
	away.start(t)
	for range 30 {
		read := 0
		eventually(t, "the log is read", func() bool {
			read = 0
			return log.Read(t.Context(), store.Which{}, func(store.Stored) error { read++; return nil }) == nil
		})
		if read != events {
			t.Errorf("%d of %d events were read", read, events)
		}
	}
}
