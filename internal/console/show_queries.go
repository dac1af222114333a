package console

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"spillway/internal/proxy"
)

// queryColumns are Spillway's own: what runs now, by fingerprint, the most
// frequent first. The age is in seconds and of the longest that runs.
var queryColumns = slices.Concat(texts("fingerprint"), int4s("running", "held"), numerics("oldest"), texts("workloads", "databases", "sql"))

func showQueries(ctx context.Context, c *call, a *answer) error {
	if c.console.Contained == nil {
		return nil
	}
	holders, err := c.console.Contained.Holders(ctx, false)
	if err != nil {
		return err
	}
	now := c.console.Now()
	for _, g := range proxy.Queries(holders) {
		a.row(text(printOf(g.Fingerprint)), number(g.Count), number(g.Held), age(now, g.OldestAt),
			orNull(strings.Join(g.Workloads, ", ")), text(strings.Join(g.Databases, ", ")), text(g.SQL))
	}
	return nil
}

// banColumns are Spillway's own: the statements that may not run, or not often.
var banColumns = slices.Concat(texts("fingerprint"), int4s("max", "running"), int8s("refused"))

func showBans(_ context.Context, c *call, a *answer) error {
	if c.console.Contained == nil {
		return nil
	}
	bans := c.console.Contained.Bans()
	slices.SortFunc(bans, func(x, y proxy.BanStat) int { return strings.Compare(printOf(x.Fingerprint), printOf(y.Fingerprint)) })
	for _, b := range bans {
		a.row(text(printOf(b.Fingerprint)), number(b.Max), number(b.Running), count(b.Refused))
	}
	return nil
}

func printOf(fingerprint uint64) string { return fmt.Sprintf("%016x", fingerprint) }
