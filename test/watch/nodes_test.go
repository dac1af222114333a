package watch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"spillway/internal/pgtest"
)

// natsServer is the region's NATS, on this port or, with server.RANDOM_PORT, a free one.
func natsServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(limit) {
		t.Fatal("NATS does not come up")
	}
	return s
}

// TestTwoNodes: two nodes of a region before the same PostgreSQL see one table
// blocked: one incident, with what each of them saw, over when it is gone. Then
// their log goes away: a finding at each, and clients are served on.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	s, dir := guarded(t), t.TempDir()
	log := natsServer(t, dir, server.RANDOM_PORT)
	var port int
	if _, err := fmt.Sscanf(log.Addr().String(), "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	c := config(s, "")
	c.PoolSize = 20
	c.Set = map[string]any{"record.url": log.ClientURL(), "record.replicas": 1, "servers.main.max_connections": 40}
	kind := pgtest.SpillwayKind("", "transaction")
	a, b := pgtest.Serve(t, kind, c), pgtest.Serve(t, kind, c)
	both := []*pgtest.Pooler{a, b}
	for _, p := range both {
		healthy(t, p)
		holding(t, p, "record/log", false)
	}
	release := blockTable(t, a, b)
	for _, p := range both {
		eventually(t, "what both nodes saw is in one incident", limit, func() bool {
			return len(nodesOf(t, p, one(t, p, "open").ID)) == 2
		})
	}
	release()
	ids := map[string]bool{}
	for _, p := range both {
		ids[one(t, p, "restored").ID] = true
	}
	if len(ids) != 1 {
		t.Errorf("the nodes' incidents are %v", ids)
	}
	client := connect(t, a, "api", "web")
	log.Shutdown()
	log.WaitForShutdown()
	for _, p := range both {
		holding(t, p, "record/log", true)
	}
	exec(t, client, "UPDATE item SET n = n + 1 WHERE id = 9")
	exec(t, connect(t, b, "api", "web"), "UPDATE item SET n = n + 1 WHERE id = 9")
	natsServer(t, dir, port)
	for _, p := range both {
		holding(t, p, "record/log", false)
		eventually(t, "the chain holds", limit, func() bool {
			out, _ := command(t, p, "incident", "verify")
			return strings.Contains(out, "the chain holds")
		})
	}
}

// holding waits until a finding holds, or does not.
func holding(t *testing.T, p *pgtest.Pooler, key string, want bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s holds: %v", key, want), limit, func() bool {
		have := false
		for _, f := range judge(t, p).Findings {
			have = have || f.Key == key
		}
		return have == want
	})
}

// nodesOf are the nodes whose findings are in an incident.
func nodesOf(t *testing.T, p *pgtest.Pooler, id string) map[string]bool {
	t.Helper()
	var i struct{ Findings []struct{ Node string } }
	if err := json.Unmarshal(get(t, p, "/api/v1/incidents/"+id), &i); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]bool{}
	for _, f := range i.Findings {
		nodes[f.Node] = true
	}
	return nodes
}
