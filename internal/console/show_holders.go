package console

import (
	"cmp"
	"context"
	"slices"
	"time"

	"spillway/internal/proxy"
)

// holderColumns are Spillway's own: who has a server now, the longest first.
// Ages are in seconds.
var holderColumns = slices.Concat(
	int8s("client_id"), texts("workload", "database", "user", "application_name", "addr"), int4s("server_pid"),
	texts("state", "transaction_state"), numerics("checkout_age", "transaction_age", "query_age"),
	texts("pinned", "leaking"), int4s("waiting_behind"), texts("sql"))

// holder is a server that is out, with the client that has it. client is zero
// when it has gone and the server is being cleaned up after it.
type holder struct {
	client, server proxy.ConnStat
	checkedOut     time.Time
}

func showHolders(ctx context.Context, c *call, a *answer) error {
	held, err := holders(ctx, c.console.Facts)
	if err != nil {
		return err
	}
	pools, err := c.console.Facts.Pools(ctx)
	if err != nil {
		return err
	}
	waiting := map[[2]string]int{}
	for _, p := range pools {
		waiting[[2]string{p.Database, p.User}] = p.ClientsWaiting
	}
	now := c.console.Now()
	for _, h := range held {
		pool := [2]string{cmp.Or(h.client.Database, h.server.Database), cmp.Or(h.client.User, h.server.User)}
		a.row(h.row(now, waiting[pool])...)
	}
	return nil
}

// holders joins clients that have a server with it. The two snapshots are not
// of one instant: that of clients says who holds, the other one only adds what
// it knows of the server. Servers that are out without any client come too.
func holders(ctx context.Context, facts proxy.Facts) ([]holder, error) {
	clients, err := facts.Clients(ctx)
	if err != nil {
		return nil, err
	}
	servers, err := facts.Servers(ctx)
	if err != nil {
		return nil, err
	}
	free := make(map[uint64]proxy.ConnStat, len(servers)) // no client is known to have them
	for _, server := range servers {
		free[server.ID] = server
	}
	var held []holder
	for _, client := range clients {
		if client.Link != 0 {
			held = append(held, holder{client: client, server: free[client.Link]})
			delete(free, client.Link)
		}
	}
	for _, server := range free {
		if server.Link == 0 && (server.State == "active" || server.State == "being_canceled") {
			held = append(held, holder{server: server})
		}
	}
	for i := range held {
		held[i].checkedOut = firstTime(held[i].client.CheckedOutAt, held[i].server.CheckedOutAt)
	}
	slices.SortFunc(held, func(x, y holder) int {
		return cmp.Or(x.checkedOut.Compare(y.checkedOut), cmp.Compare(x.client.ID, y.client.ID), cmp.Compare(x.server.ID, y.server.ID))
	})
	return held, nil
}

func (h holder) row(now time.Time, waiting int) []cell {
	state := cmp.Or(h.client.InTransaction, h.server.InTransaction)
	return []cell{
		{n: int64(h.client.ID), null: h.client.ID == 0},
		orNull(h.client.Workload),
		text(cmp.Or(h.client.Database, h.server.Database)), text(cmp.Or(h.client.User, h.server.User)),
		orNull(h.client.Application), orNull(h.client.Addr),
		{n: int64(h.server.RemotePID), null: h.server.RemotePID == 0},
		text(cmp.Or(h.client.State, h.server.State)), orNull(transactionState(state)),
		age(now, h.checkedOut),
		age(now, firstTime(h.client.TransactionAt, h.server.TransactionAt)),
		age(now, firstTime(h.client.QueryAt, h.server.QueryAt)),
		orNull(cmp.Or(h.client.Pinned, h.server.Pinned)), orNull(leaking(h.client)), number(waiting),
		orNull(cmp.Or(h.client.SQL, h.server.SQL)),
	}
}

// leaking says so of a holder that keeps its server idle for too long.
func leaking(c proxy.ConnStat) string {
	if c.Leaking {
		return "yes"
	}
	return ""
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// age is NULL for what has not begun.
func age(now, since time.Time) cell {
	if since.IsZero() {
		return cell{null: true}
	}
	return seconds(max(now.Sub(since), 0))
}

func transactionState(b byte) string {
	switch b {
	case 'I':
		return "idle"
	case 'T':
		return "in transaction"
	case 'E':
		return "failed transaction"
	}
	return ""
}
