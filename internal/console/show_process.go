package console

import (
	"cmp"
	"context"
	"math"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"spillway/internal/proxy"
	"spillway/internal/wire"
)

var (
	configColumns   = texts("key", "value", "default", "changeable")
	stateColumns    = texts("key", "value")
	listColumns     = slices.Concat(texts("list"), int4s("items"))
	memColumns      = slices.Concat(texts("name"), int4s("size", "used", "free", "memtotal"))
	dnsHostColumns  = slices.Concat(texts("hostname"), int8s("ttl"), texts("addrs"))
	dnsZoneColumns  = slices.Concat(texts("zonename"), int8s("serial"), int4s("count"))
	peerColumns     = slices.Concat(int4s("peer_id"), texts("host"), int4s("port", "pool_size"))
	peerPoolColumns = int4s("peer_id", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active_cancel", "sv_login")
)

// showNothing is for tables of what Spillway does not have.
func showNothing(context.Context, *call, *answer) error { return nil }

func showVersion(_ context.Context, _ *call, a *answer) error {
	a.row(text("PgBouncer " + Peer))
	return nil
}

func showState(ctx context.Context, c *call, a *answer) error {
	gauges, err := c.console.Facts.Gauges(ctx)
	if err != nil {
		return err
	}
	paused, suspended := gauges.State == "paused", gauges.State == "suspended"
	a.row(text("active"), yesNo(!paused && !suspended))
	a.row(text("paused"), yesNo(paused))
	a.row(text("suspended"), yesNo(suspended))
	return nil
}

func yesNo(b bool) cell {
	if b {
		return text("yes")
	}
	return text("no")
}

func showLists(ctx context.Context, c *call, a *answer) error {
	g, err := c.console.Facts.Gauges(ctx)
	if err != nil {
		return err
	}
	for _, list := range []struct {
		name  string
		items int
	}{
		{"databases", g.Databases}, {"users", g.Users}, {"peers", 0}, {"pools", g.Pools}, {"peer_pools", 0},
		{"free_clients", g.FreeClients}, {"used_clients", g.UsedClients}, {"login_clients", g.LoginClients},
		{"free_servers", g.FreeServers}, {"used_servers", g.UsedServers},
		{"dns_names", g.DNSNames}, {"dns_zones", 0}, {"dns_queries", 0}, {"dns_pending", g.DNSPending},
	} {
		a.row(text(list.name), number(list.items))
	}
	return nil
}

// redacted stands for a value that is set and not shown.
const redacted = "********"

// showConfig leaves out the value of what is a secret by its own word or by its
// name: a key added without a thought must not leak (CVE-2023-22332).
func showConfig(_ context.Context, c *call, a *answer) error {
	for _, s := range c.console.Settings.Settings() {
		value, byDefault := s.Value, s.Default
		if s.Secret || secretName(s.Key) {
			value, byDefault = hide(value), hide(byDefault)
		}
		a.row(text(s.Key), text(printable(value)), text(printable(byDefault)), yesNo(s.Changeable))
	}
	return nil
}

func hide(value string) string {
	if value == "" {
		return ""
	}
	return redacted
}

func secretName(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"password", "passwd", "secret", "token", "credential", "private"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}

// showMem has PgBouncer's columns over Go's memory: size is 1 byte, so that
// used and free are bytes as memtotal is. Saturated where int4 ends.
func showMem(_ context.Context, _ *call, a *answer) error {
	classes := []struct{ name, used, free string }{
		{"go_heap", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes"},
		{"go_stacks", "/memory/classes/heap/stacks:bytes", ""},
		{"go_metadata", "/memory/classes/metadata/other:bytes", ""},
	}
	for _, class := range classes {
		used, free := runtimeBytes(class.used), runtimeBytes(class.free)
		a.row(text(class.name), number(1), memory(used), memory(free), memory(used+free))
	}
	return nil
}

// runtimeBytes is one figure of the runtime; 0 for one that it does not have.
func runtimeBytes(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

func memory(n uint64) cell { return number(int64(min(n, math.MaxInt32))) }

func showDNSHosts(ctx context.Context, c *call, a *answer) error {
	hosts, err := c.console.Facts.DNS(ctx)
	if err != nil {
		return err
	}
	hosts = slices.SortedFunc(slices.Values(hosts), func(x, y proxy.DNSStat) int { return cmp.Compare(x.Host, y.Host) })
	for _, h := range hosts {
		a.row(text(h.Host), number(int64(max(h.TTL, 0)/time.Second)), text(strings.Join(h.Addrs, ",")))
	}
	return nil
}

// showHelp is a notice: psql prints it, programs pass over it.
func showHelp(_ context.Context, c *call, a *answer) error {
	var names, lines []string
	for name, command := range c.console.language {
		if command.quiet {
			continue
		}
		if what, ok := strings.CutPrefix(name, "SHOW "); ok {
			names = append(names, what)
			continue
		}
		lines = append(lines, strings.TrimSpace(name+" "+command.usage))
	}
	slices.Sort(names)
	slices.Sort(lines)
	var help strings.Builder
	for row := range slices.Chunk(names, 6) {
		help.WriteString("\n\tSHOW " + strings.Join(row, "|"))
	}
	for _, line := range lines {
		help.WriteString("\n\t" + line)
	}
	a.notices = append(a.notices, wire.Report{Severity: "NOTICE", Code: "00000", Message: "Console usage", Detail: help.String()})
	a.tag = "SHOW"
	return nil
}
