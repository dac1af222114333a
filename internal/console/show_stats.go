package console

import (
	"context"
	"slices"

	"spillway/internal/proxy"
)

// statNames are the counters in PgBouncer's order; the words that differ
// between its tables are parameters.
func statNames(prefix, received, sent, prepared string) []string {
	return []string{
		prefix + "server_assignment_count", prefix + "xact_count", prefix + "query_count",
		prefix + received, prefix + sent,
		prefix + "xact_time", prefix + "query_time", prefix + "wait_time",
		prefix + prepared + "client_parse_count", prefix + prepared + "server_parse_count", prefix + prepared + "bind_count",
	}
}

var (
	statsColumns = slices.Concat(texts("database"),
		numerics(statNames("total_", "received", "sent", "")...),
		numerics(statNames("avg_", "recv", "sent", "")...))
	totalColumns   = slices.Concat(texts("database"), numerics(statNames("", "bytes_received", "bytes_sent", "")...))
	averageColumns = slices.Concat(texts("database"), numerics(statNames("", "bytes_received", "bytes_sent", "avg_")...))
	totalsColumns  = slices.Concat(texts("name"), numerics("value"))
)

// counterCells are the values in the order of statNames.
func counterCells(c proxy.Counters) []cell {
	return []cell{
		count(c.Assignments), count(c.Transactions), count(c.Queries),
		count(c.ReceivedBytes), count(c.SentBytes),
		count(c.TransactionMicros), count(c.QueryMicros), count(c.WaitMicros),
		count(c.ClientParses), count(c.ServerParses), count(c.Binds),
	}
}

func showStats(ctx context.Context, c *call, a *answer) error {
	return statRows(ctx, c, a, func(p proxy.Period) []cell {
		return slices.Concat(counterCells(p.Total), counterCells(p.Average))
	})
}

func showStatsTotals(ctx context.Context, c *call, a *answer) error {
	return statRows(ctx, c, a, func(p proxy.Period) []cell { return counterCells(p.Total) })
}

func showStatsAverages(ctx context.Context, c *call, a *answer) error {
	return statRows(ctx, c, a, func(p proxy.Period) []cell { return counterCells(p.Average) })
}

func statRows(ctx context.Context, c *call, a *answer, cells func(proxy.Period) []cell) error {
	periods, err := c.console.Facts.Stats(ctx)
	if err != nil {
		return err
	}
	for _, p := range periods {
		a.row(slices.Concat([]cell{text(p.Database)}, cells(p))...)
	}
	return nil
}

// showTotals sums over the databases, as rows.
func showTotals(ctx context.Context, c *call, a *answer) error {
	periods, err := c.console.Facts.Stats(ctx)
	if err != nil {
		return err
	}
	var total, average proxy.Counters
	for _, p := range periods {
		addCounters(&total, p.Total)
		addAverages(&average, p.Average)
	}
	finishAverages(&average)
	named := func(names []string, cells []cell) {
		for i, name := range names {
			a.row(text(name), cells[i])
		}
	}
	named(statNames("total_", "client_bytes", "server_bytes", "ps_"), counterCells(total))
	named(statNames("avg_", "client_bytes", "server_bytes", "ps_"), counterCells(average))
	return nil
}

func addCounters(sum *proxy.Counters, c proxy.Counters) {
	sum.Assignments += c.Assignments
	sum.Transactions += c.Transactions
	sum.Queries += c.Queries
	sum.ReceivedBytes += c.ReceivedBytes
	sum.SentBytes += c.SentBytes
	sum.TransactionMicros += c.TransactionMicros
	sum.QueryMicros += c.QueryMicros
	sum.WaitMicros += c.WaitMicros
	sum.ClientParses += c.ClientParses
	sum.ServerParses += c.ServerParses
	sum.Binds += c.Binds
}

// addAverages adds rates; an average time is weighted by how many there were,
// which finishAverages divides by again.
func addAverages(sum *proxy.Counters, c proxy.Counters) {
	c.TransactionMicros *= c.Transactions
	c.QueryMicros *= c.Queries
	c.WaitMicros *= c.Assignments
	addCounters(sum, c)
}

func finishAverages(sum *proxy.Counters) {
	sum.TransactionMicros /= max(sum.Transactions, 1)
	sum.QueryMicros /= max(sum.Queries, 1)
	sum.WaitMicros /= max(sum.Assignments, 1)
}
