package console

import (
	"cmp"
	"context"
	"slices"
	"time"

	"spillway/internal/proxy"
)

var (
	poolColumns = slices.Concat(
		texts("database", "user"),
		int4s("cl_active", "cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req",
			"sv_active", "sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login",
			"maxwait", "maxwait_us"),
		texts("pool_mode", "load_balance_hosts"))
	databaseColumns = slices.Concat(
		texts("name", "host"), int4s("port"), texts("database", "force_user"),
		int4s("pool_size", "min_pool_size", "reserve_pool_size", "server_lifetime"),
		texts("pool_mode", "load_balance_hosts"),
		int4s("max_connections", "current_connections", "max_client_connections", "current_client_connections",
			"paused", "disabled"))
	userColumns = slices.Concat(
		texts("name", "pool_size", "reserve_pool_size", "pool_mode"),
		int4s("max_user_connections", "current_connections", "max_user_client_connections", "current_client_connections"))
	upstreamColumns = slices.Concat(
		texts("name", "address", "server_version"), int4s("usable", "used", "waiting"),
		numerics("oldest_wait"), texts("breaker", "breaker_reason"), numerics("next_probe"),
		int4s("operator_slots", "operator_servers"), texts("calm"), int4s("logins_free"))
)

// modeName is PgBouncer's name of a pool mode, "" when it is inherited.
func modeName(m proxy.PoolMode) string {
	switch m {
	case proxy.ModeSession:
		return "session"
	case proxy.ModeTransaction:
		return "transaction"
	case proxy.ModeStatement:
		return "statement"
	case proxy.ModeDefault:
	}
	return ""
}

func showPools(ctx context.Context, c *call, a *answer) error {
	pools, err := c.console.Facts.Pools(ctx)
	if err != nil {
		return err
	}
	pools = slices.SortedFunc(slices.Values(pools), func(x, y proxy.PoolStat) int {
		return cmp.Or(cmp.Compare(x.Database, y.Database), cmp.Compare(x.User, y.User))
	})
	for _, p := range pools {
		whole, micros := waitParts(p.OldestWait)
		a.row(text(p.Database), text(p.User),
			// PgBouncer counts a client that asks for nothing as active.
			number(p.ClientsActive+p.ClientsIdle), number(p.ClientsWaiting), number(p.ClientsActiveCancel), number(p.ClientsWaitingCancel),
			number(p.ServersActive), number(p.ServersActiveCancel), number(p.ServersBeingCanceled),
			number(p.ServersIdle), number(p.ServersUsed), number(p.ServersTested), number(p.ServersLogin),
			whole, micros, orNull(modeName(p.Mode)), orNull(p.LoadBalance))
	}
	return nil
}

// waitParts are a wait's whole seconds and the microseconds left over.
func waitParts(d time.Duration) (whole, micros cell) {
	d = max(d, 0)
	return number(int64(d / time.Second)), number((d % time.Second).Microseconds())
}

func showDatabases(ctx context.Context, c *call, a *answer) error {
	databases, err := c.console.Facts.Databases(ctx)
	if err != nil {
		return err
	}
	databases = slices.SortedFunc(slices.Values(databases), func(x, y proxy.DatabaseStat) int {
		return cmp.Compare(x.Name, y.Name)
	})
	for _, d := range databases {
		a.row(text(d.Name), orNull(d.Host), number(d.Port), text(d.DBName), orNull(d.ForceUser),
			number(d.PoolSize), number(d.MinPoolSize), number(d.ReservePool), number(int64(d.ServerLifetime/time.Second)),
			orNull(modeName(d.Mode)), orNull(d.LoadBalance),
			number(d.MaxServers), number(d.Servers), number(d.MaxClients), number(d.Clients),
			yes(d.Paused), yes(d.Disabled))
	}
	return nil
}

func showUsers(ctx context.Context, c *call, a *answer) error {
	users, err := c.console.Facts.UserStats(ctx)
	if err != nil {
		return err
	}
	users = slices.SortedFunc(slices.Values(users), func(x, y proxy.UserStat) int { return cmp.Compare(x.Name, y.Name) })
	for _, u := range users {
		a.row(text(u.Name), size(u.PoolSize), size(u.ReservePool), orNull(modeName(u.Mode)),
			number(u.MaxServers), number(u.Servers), number(u.MaxClients), number(u.Clients))
	}
	return nil
}

// size is a text column that is empty when the size is not set.
func size(n int) cell {
	if n < 0 {
		return text("")
	}
	return text(string(number(n).appendText(nil, oidInt8)))
}

func showUpstreams(ctx context.Context, c *call, a *answer) error {
	upstreams, err := c.console.Facts.Upstreams(ctx)
	if err != nil {
		return err
	}
	upstreams = slices.SortedFunc(slices.Values(upstreams), func(x, y proxy.UpstreamStat) int {
		return cmp.Compare(x.Name, y.Name)
	})
	for _, u := range upstreams {
		a.row(text(u.Name), orNull(u.Address), orNull(u.ServerVersion),
			number(u.Usable), number(u.Used), number(u.Waiting), seconds(u.OldestWait),
			text(u.Breaker), orNull(u.BreakerReason), seconds(u.NextProbe),
			number(u.OperatorSlots), number(u.OperatorServers), yesNo(u.Calm), number(u.LoginsFree))
	}
	return nil
}
