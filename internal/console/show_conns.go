package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"spillway/internal/proxy"
)

var (
	connColumns = slices.Concat(
		texts("type", "user", "database", "replication", "state", "addr"), int4s("port"),
		texts("local_addr"), int4s("local_port"), texts("connect_time", "request_time"),
		int4s("wait", "wait_us", "close_needed"), texts("ptr", "link"), int4s("remote_pid"),
		texts("tls", "application_name"), int4s("prepared_statements", "id"))
	socketColumns = slices.Concat(connColumns,
		int4s("recv_pos", "pkt_pos", "pkt_remain", "send_pos", "send_remain", "pkt_avail", "send_avail"))
)

func showClients(ctx context.Context, c *call, a *answer) error {
	clients, err := c.console.Facts.Clients(ctx)
	if err != nil {
		return err
	}
	for _, conn := range ordered(clients) {
		a.row(connRow(conn)...)
	}
	return nil
}

func showServers(ctx context.Context, c *call, a *answer) error {
	servers, err := c.console.Facts.Servers(ctx)
	if err != nil {
		return err
	}
	for _, conn := range ordered(servers) {
		a.row(connRow(conn)...)
	}
	return nil
}

func showSockets(ctx context.Context, c *call, a *answer) error {
	return sockets(ctx, c, a, func(proxy.ConnStat) bool { return true })
}

// showActiveSockets shows those with bytes on their way.
func showActiveSockets(ctx context.Context, c *call, a *answer) error {
	return sockets(ctx, c, a, func(s proxy.ConnStat) bool { return s.RecvPending > 0 || s.SendPending > 0 })
}

func sockets(ctx context.Context, c *call, a *answer, wanted func(proxy.ConnStat) bool) error {
	clients, err := c.console.Facts.Clients(ctx)
	if err != nil {
		return err
	}
	servers, err := c.console.Facts.Servers(ctx)
	if err != nil {
		return err
	}
	for _, conn := range slices.Concat(ordered(clients), ordered(servers)) {
		if !wanted(conn) {
			continue
		}
		pending := []cell{
			number(conn.RecvPending), {}, {}, {}, {}, // recv_pos … send_remain
			number(conn.RecvPending), number(conn.SendPending),
		}
		conn.State = socketState(conn)
		a.row(slices.Concat(connRow(conn), pending)...)
	}
	return nil
}

// socketState is the state as SHOW SOCKETS spells it.
func socketState(conn proxy.ConnStat) string {
	if conn.Kind == 'S' {
		if conn.State == "new" {
			return "sv_login"
		}
		return "sv_" + conn.State
	}
	if conn.State == "idle" {
		return "cl_active"
	}
	return "cl_" + conn.State
}

// ordered sorts as PgBouncer walks its lists: by pool, then by state, oldest first.
func ordered(conns []proxy.ConnStat) []proxy.ConnStat {
	ranks := map[string]int{
		"active": 1, "idle": 2, "used": 3, "tested": 4, "new": 5, "waiting": 6,
		"active_cancel_req": 7, "waiting_cancel_req": 8, "active_cancel": 9, "being_canceled": 10,
	}
	return slices.SortedFunc(slices.Values(conns), func(x, y proxy.ConnStat) int {
		return cmp.Or(
			cmp.Compare(x.Database, y.Database), cmp.Compare(x.User, y.User),
			cmp.Compare(ranks[x.State], ranks[y.State]), cmp.Compare(x.ID, y.ID))
	})
}

func connRow(c proxy.ConnStat) []cell {
	requested := c.RequestedAt
	if requested.IsZero() {
		requested = c.ConnectedAt
	}
	whole, micros := waitParts(c.Wait)
	return []cell{
		text(string(rune(c.Kind))), text(cmp.Or(c.User, "(nouser)")), text(cmp.Or(c.Database, "(nodb)")),
		text(cmp.Or(c.Replication, "none")), text(c.State),
		text(c.Addr), number(c.Port), text(c.LocalAddr), number(c.LocalPort),
		stamp(c.ConnectedAt), stamp(requested), whole, micros, yes(c.CloseNeeded),
		text(pointer(c.ID)), text(pointer(c.Link)), number(c.RemotePID), text(c.TLS),
		text(c.Application), number(c.Prepared), count(c.ID),
	}
}

// pointer is an ID in the look of PgBouncer's addresses; "" for none.
func pointer(id uint64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("0x%012x", id)
}

func stamp(t time.Time) cell {
	if t.IsZero() {
		return text("")
	}
	return text(t.Format("2006-01-02 15:04:05 MST"))
}
