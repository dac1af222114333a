package record

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
)

// natsServer is a NATS server of its own on a free port, as a region may have.
func natsServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(2 * time.Minute) {
		t.Fatal("NATS does not come up")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func memberOf(url, node string) Config {
	c := configOf("")
	c.Store.URL, c.Node = url, node
	return c
}

// TestTwoNodesWriteOneLog: two nodes of a region write to its cluster at the
// same time. Nothing is lost, the chain holds, and each learns of the other's
// incidents.
func TestTwoNodesWriteOneLog(t *testing.T) {
	url := natsServer(t, t.TempDir(), server.RANDOM_PORT).ClientURL()
	a, _ := run(t, memberOf(url, "a"))
	b, _ := run(t, memberOf(url, "b"))
	eventually(t, "both open the log", func() bool { return a.State().Open && b.State().Open })
	const each = 100
	var writing sync.WaitGroup
	for _, r := range []*Record{a, b} {
		writing.Go(func() {
			for n := range each {
				if err := r.Note(context.Background(), time.Now(), "test.load", n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	a.Told(leak(incident.Page))
	eventually(t, "all is written", func() bool { return a.State().Waiting+b.State().Waiting == 0 })
	eventually(t, "the other node knows the incident", func() bool { return len(b.List()) == 1 })
	b.Told(leak(incident.Page))
	if ok, err := b.Do(urgent(t), "bob", func(book *incident.Book, by incident.Asker) ([]event.Event, error) { return book.Ack("last", by) }); !ok || err != nil {
		t.Fatalf("ack: %v %v", ok, err)
	}
	eventually(t, "the first node knows who took it", func() bool { l := a.List(); return len(l) == 1 && l[0].AckedBy == "bob" })
	v, err := a.Verify(t.Context(), "")
	if err != nil || !v.Valid() || v.Events < 2*each {
		t.Errorf("chain: %+v %v", v, err)
	}
	if len(b.List()) != 1 {
		t.Errorf("the other node has %+v", b.List())
	}
}

// TestClusterGoesAway: what is told while the cluster is away waits and is
// written when it is back.
func TestClusterGoesAway(t *testing.T) {
	dir := t.TempDir()
	s := natsServer(t, dir, server.RANDOM_PORT)
	var port int
	if _, err := fmt.Sscanf(s.Addr().String(), "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	r, _ := run(t, memberOf(s.ClientURL(), "a"))
	eventually(t, "the log opens", func() bool { return r.State().Open })
	s.Shutdown()
	s.WaitForShutdown()
	r.Told(leak(incident.Page))
	eventually(t, "it is seen to be away", func() bool { return r.State().Problem != "" })
	natsServer(t, dir, port)
	eventually(t, "what waited is written", func() bool { return r.State().Waiting == 0 && r.State().Open })
	if v, err := r.Verify(t.Context(), ""); err != nil || !v.Valid() {
		t.Errorf("chain: %+v %v", v, err)
	}
	if list := r.List(); len(list) != 1 {
		t.Errorf("incidents are %+v", list)
	}
}

// TestOneTroubleOneIncident: two nodes see the same trouble at the same moment,
// again and again. The log decides who opens the incident; the other's finding
// joins it, and it is over when it is over at both.
func TestOneTroubleOneIncident(t *testing.T) {
	url := natsServer(t, t.TempDir(), server.RANDOM_PORT).ClientURL()
	a, _ := run(t, memberOf(url, "a"))
	b, _ := run(t, memberOf(url, "b"))
	eventually(t, "both open the log", func() bool { return a.State().Open && b.State().Open })
	both := func(f incident.Finding) {
		var telling sync.WaitGroup
		for _, r := range []*Record{a, b} {
			telling.Go(func() { r.Told(f) })
		}
		telling.Wait()
	}
	for n := 1; n <= 4; n++ {
		f := leak(incident.Page)
		f.Upstream = fmt.Sprint("server-", n) // unlike those before
		f.Key = "leak/" + f.Upstream
		both(f)
		for _, r := range []*Record{a, b} {
			eventually(t, fmt.Sprintf("round %d: one incident that waits for both", n), func() bool {
				l := r.List()
				return r.State().Waiting == 0 && len(l) == n && l[0].Holding == 2
			})
		}
		f.Cleared = true
		both(f)
		for _, r := range []*Record{a, b} {
			eventually(t, fmt.Sprintf("round %d: it is restored", n), func() bool {
				l := r.List()
				return r.State().Waiting == 0 && len(l) == n && l[0].Status == incident.IsRestored
			})
		}
	}
	if v, err := a.Verify(t.Context(), ""); err != nil || !v.Valid() {
		t.Errorf("chain: %+v %v", v, err)
	}
	for n, i := range a.List() {
		if other := b.List()[n]; other.ID != i.ID {
			t.Errorf("incident %d is %s at one node and %s at the other", n, i.ID, other.ID)
		}
	}
}
