package console

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// adminDatabases are served by the console itself and cannot be acted on.
var adminDatabases = [...]string{"pgbouncer", "spillway"}

// target is what a verb acts on: a database ("" = all), for a limited time
// (0 = no limit).
type target struct {
	database string
	timeout  time.Duration
}

// target reads [<db>] [TIMEOUT <duration>]. A name that is quoted is never
// taken for the word TIMEOUT.
func (c *call) target(timed bool) (target, error) {
	var t target
	args := c.args
	if n := len(args); timed && n >= 2 && args[n-2].is("TIMEOUT") {
		limit, err := duration(args[n-1])
		if err != nil {
			return target{}, err
		}
		t.timeout, args = limit, args[:n-2]
	}
	switch {
	case len(args) == 0:
		return t, nil
	case len(args) > 1 || args[0].kind == tokenSymbol:
		return target{}, c.misused()
	}
	t.database = args[0].text
	for _, own := range adminDatabases {
		if t.database == own {
			return target{}, fail(codeState, fmt.Sprintf("cannot %s admin db: %s", strings.ToLower(c.command), own))
		}
	}
	if t.database == "" {
		return target{}, fail(codeArgument, "database name is empty")
	}
	return t, nil
}

// required is target for verbs that never act on all databases.
func (c *call) required() (string, error) {
	t, err := c.target(false)
	if err == nil && t.database == "" {
		err = fail(codeSyntax, "a database is required")
	}
	return t.database, err
}

func (c *call) misused() error {
	usage := c.console.language[c.command].usage
	return &failure{code: codeSyntax, message: "invalid arguments of " + c.command, hint: strings.TrimSpace("Write " + c.command + " " + usage)}
}

// duration reads 250ms, 5s, 1m, or a bare number of seconds.
func duration(t token) (time.Duration, error) {
	bad := &failure{code: codeArgument, message: "invalid duration '" + echo(t.text) + "'", hint: "Write a duration above zero like 250ms, 5s or 2m."}
	text := t.text
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, bad
	}
	return d, nil
}

// within runs do and tells a time limit of the command from its client's end.
func (t target) within(ctx context.Context, verb, consequence string, do func(context.Context) error) error {
	if t.timeout == 0 {
		return do(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	err := do(limited)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return &failure{
			code: codeCanceled, message: fmt.Sprintf("%s was not complete within %v", verb, t.timeout),
			detail: consequence, hint: "SHOW HOLDERS tells who still has a server.",
		}
	}
	return err
}

func pause(ctx context.Context, c *call, _ *answer) error {
	t, err := c.target(true)
	if err != nil {
		return err
	}
	return t.within(ctx, "PAUSE", "The pause was withdrawn.", func(ctx context.Context) error {
		return c.console.Verbs.Pause(ctx, t.database)
	})
}

func waitClose(ctx context.Context, c *call, _ *answer) error {
	t, err := c.target(true)
	if err != nil {
		return err
	}
	return t.within(ctx, "WAIT_CLOSE", "Servers that are to be closed are still in use.", func(ctx context.Context) error {
		return c.console.Verbs.WaitClose(ctx, t.database)
	})
}

func suspend(ctx context.Context, c *call, _ *answer) error {
	t, err := c.target(true)
	if err != nil {
		return err
	}
	if t.database != "" {
		return c.misused()
	}
	return t.within(ctx, "SUSPEND", "Use RESUME to go on.", c.console.Verbs.Suspend)
}

func resume(ctx context.Context, c *call, _ *answer) error {
	t, err := c.target(false)
	if err != nil {
		return err
	}
	return c.console.Verbs.Resume(ctx, t.database)
}

func reconnect(ctx context.Context, c *call, _ *answer) error {
	t, err := c.target(false)
	if err != nil {
		return err
	}
	return c.console.Verbs.Reconnect(ctx, t.database)
}

func kill(ctx context.Context, c *call, a *answer) error {
	t, err := c.target(false)
	if err != nil {
		return err
	}
	if err := c.console.Verbs.Kill(ctx, t.database); err != nil {
		return err
	}
	a.notice("clients are kept waiting until RESUME", strings.TrimSpace("Use RESUME "+t.database))
	return nil
}

func disable(ctx context.Context, c *call, _ *answer) error {
	database, err := c.required()
	if err != nil {
		return err
	}
	return c.console.Verbs.Disable(ctx, database)
}

func enable(ctx context.Context, c *call, _ *answer) error {
	database, err := c.required()
	if err != nil {
		return err
	}
	return c.console.Verbs.Enable(ctx, database)
}

// killClient takes a client's id or its ptr, as SHOW CLIENTS shows them.
func killClient(ctx context.Context, c *call, _ *answer) error {
	if len(c.args) != 1 {
		return c.misused()
	}
	id, err := strconv.ParseUint(strings.ToLower(c.args[0].text), 0, 64)
	if err != nil || id == 0 {
		return &failure{code: codeArgument, message: "invalid client id '" + echo(c.args[0].text) + "'", hint: "SHOW CLIENTS has it in its last column."}
	}
	return c.console.Verbs.KillClient(ctx, id)
}

func set(ctx context.Context, c *call, _ *answer) error {
	if len(c.args) != 2 {
		return c.misused()
	}
	return c.console.Settings.Set(ctx, c.args[0].text, c.args[1].text)
}

func reload(ctx context.Context, c *call, a *answer) error {
	notes, err := c.console.Control.Reload(ctx)
	if err != nil {
		return &failure{code: codeReload, message: "RELOAD failed, nothing has changed", detail: err.Error()}
	}
	for _, note := range notes {
		a.notice(note, "")
	}
	return nil
}

func shutdown(_ context.Context, c *call, _ *answer) error {
	mode := ShutdownNow
	switch {
	case len(c.args) == 0:
	case len(c.args) == 1 && c.args[0].is(string(ShutdownWaitForServers)):
		mode = ShutdownWaitForServers
	case len(c.args) == 1 && c.args[0].is(string(ShutdownWaitForClients)):
		mode = ShutdownWaitForClients
	default:
		return c.misused()
	}
	return c.console.Control.Shutdown(mode)
}
