package console

import (
	"context"
	"strings"

	"spillway/internal/wire"
)

// The console has no transactions: every command takes effect at once. But
// drivers that open one believe ReadyForQuery, so it says what they expect.

type runner = func(context.Context, *call, *answer) error

func beginTransaction(tag string) runner {
	return func(_ context.Context, c *call, a *answer) error {
		if c.transaction != wire.InTransaction {
			a.notice("the console has no transactions: every command takes effect at once", "")
		}
		c.transaction = wire.InTransaction
		a.tag = tag
		return nil
	}
}

func endTransaction(tag string) runner {
	return func(_ context.Context, c *call, a *answer) error {
		a.tag = tag
		if c.transaction == wire.Failed {
			a.tag = "ROLLBACK"
		}
		c.transaction = wire.Idle
		return nil
	}
}

func ignored(tag string) runner {
	return func(_ context.Context, _ *call, a *answer) error {
		a.tag = tag
		return nil
	}
}

// deallocate is DEALLOCATE [PREPARE] name or ALL.
func deallocate(_ context.Context, c *call, _ *answer) error {
	args := c.args
	if len(args) == 2 && args[0].is("PREPARE") {
		args = args[1:]
	}
	if len(args) != 1 {
		return fail(codeSyntax, "invalid arguments of DEALLOCATE")
	}
	if args[0].is("ALL") {
		return forget(c)
	}
	name := args[0].text
	if args[0].kind == tokenWord {
		name = strings.ToLower(name)
	}
	if _, err := c.statement(name); err != nil {
		return err
	}
	c.dropStatement(name)
	return nil
}

func discard(_ context.Context, c *call, a *answer) error {
	if len(c.args) != 1 {
		return fail(codeSyntax, "invalid arguments of DISCARD")
	}
	a.tag = "DISCARD " + strings.ToUpper(echo(c.args[0].text))
	if c.args[0].is("ALL") {
		return forget(c)
	}
	return nil
}

func forget(c *call) error {
	clear(c.statements)
	clear(c.portals)
	return nil
}
