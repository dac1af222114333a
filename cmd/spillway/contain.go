package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node"
)

// How long a node may take: a kill goes in steps and waits for its grace, a
// command of the runbook has a timeout of its own of up to 10 minutes.
const (
	containWait = 3 * time.Minute
	runWait     = 11 * time.Minute
)

// containing are the flags that all actions share.
type containing struct {
	asking
	order node.ActOrder
	last  time.Duration
	grace time.Duration
}

func (c *containing) flags(cmd *cobra.Command) {
	c.asking.flags(cmd)
	cmd.Flags().StringVar(&c.order.Reason, "reason", "", "why; it stands in the record, and clients that are hit read it")
	cmd.Flags().BoolVar(&c.order.DryRun, "dry-run", false, "show what it would hit, and do nothing")
	cmd.Flags().StringVar(&c.order.Key, "key", "", "idempotency key: asked again with the same one, it is done once")
}

// lasting adds --for to what stands until it expires.
func (c *containing) lasting(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&c.last, "for", 0, "how long it stands; 0 is actions.for of the config")
}

// do sends the order and prints what became of it.
func (c *containing) do(cmd *cobra.Command, wait time.Duration) error {
	running, err := c.node()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), wait)
	defer cancel()
	c.order.For, c.order.Grace = node.ActDuration(c.last), node.ActDuration(c.grace)
	var done node.Action
	if err := running.Call(ctx, http.MethodPost, "actions", &c.order, &done); err != nil {
		return fmt.Errorf("%s: %w", c.order.Kind, err)
	}
	if err := printAction(cmd.OutOrStdout(), &done, time.Now(), c.json()); err != nil {
		return err
	}
	if done.State == node.ActFailed {
		return errPrinted
	}
	return nil
}

// actionCommand is one command that orders an action of the kind.
type actionCommand struct {
	kind             node.ActKind
	use, short, long string
	args             int
	lasts            bool
	flags            func(cmd *cobra.Command, c *containing)
	read             func(c *containing, args []string) error // arguments into the order
	wait             time.Duration                            // 0 = containWait
}

func actionCommands() []actionCommand {
	workload := func(c *containing, args []string) error { c.order.Workload = args[0]; return nil }
	print := func(c *containing, args []string) error { c.order.Fingerprint = args[0]; return nil }
	return []actionCommand{
		{kind: node.ActPause, use: "pause WORKLOAD", args: 1, lasts: true, read: workload,
			short: "Refuse a workload's new transactions for a while",
			long: "Refuses new transactions of a workload with SQLSTATE 53300 and the reason; with --queue\n" +
				"they wait instead. What runs goes on, unless --cancel cancels it. Sessions stay connected.",
			flags: func(cmd *cobra.Command, c *containing) {
				cmd.Flags().BoolVar(&c.order.Queue, "queue", false, "let new transactions wait instead of refusing them")
				cmd.Flags().BoolVar(&c.order.Cancel, "cancel", false, "cancel what runs, and roll back what is idle in a transaction")
				graceFlag(cmd, c)
			}},
		{kind: node.ActResume, use: "resume WORKLOAD", args: 1, read: workload, short: "End a workload's pause"},
		{kind: node.ActLimit, use: "limit WORKLOAD SLOTS", args: 2, lasts: true, read: readLimit,
			short: "Give a workload another limit for a while",
			long:  "Gives a workload another limit of server connections. Those above it are not taken away:\nthey come back as their transactions end."},
		{kind: node.ActBan, use: "ban FINGERPRINT", args: 1, lasts: true, read: print,
			short: "Refuse a statement for a while, or cap how often it runs at once",
			long:  "Refuses a statement, known by its fingerprint as `spillway queries` shows it, with SQLSTATE\n53000. With --max it may run that many times at once. What runs already goes on.",
			flags: func(cmd *cobra.Command, c *containing) {
				cmd.Flags().IntVar(&c.order.Max, "max", 0, "how many may run at once; 0 is none")
			}},
		{kind: node.ActUnban, use: "unban FINGERPRINT", args: 1, read: print, short: "End a statement's ban"},
		{kind: node.ActUndo, use: "undo ACTION", args: 1, read: func(c *containing, args []string) error { c.order.Action = args[0]; return nil },
			short: "End what an action made stand; `spillway actions` has its ID"},
		{kind: node.ActRun, use: "run COMMAND", args: 1, wait: runWait, read: func(c *containing, args []string) error { c.order.Command = args[0]; return nil },
			short: "Run a command of the config's runbook on the node",
			long:  "Runs a command that the config names under runbook, on the node's machine, without a shell.\nWith --dry-run its dry_run is run, or the command shown."},
		killCommand(),
	}
}

func readLimit(c *containing, args []string) error {
	slots, err := strconv.Atoi(args[1])
	if err != nil || slots < 1 {
		return usageError{fmt.Errorf("%q is not a number of slots; a limit is 1 or more (to stop a workload, pause it)", args[1])}
	}
	c.order.Workload, c.order.Limit = args[0], slots
	return nil
}

func graceFlag(cmd *cobra.Command, c *containing) {
	cmd.Flags().DurationVar(&c.grace, "grace", 5*time.Second, "between the cancel and the termination of what did not end")
}

func killCommand() actionCommand {
	var direct bool
	var older time.Duration
	var pids []int
	return actionCommand{
		kind: node.ActKill, use: "kill", short: "Cancel what selected clients run; end what does not end",
		long: "Cancels the statements of those who have a server and fit all that is said, in steps of a\n" +
			"quarter and at most 50, after looking at each again. After the grace it terminates those that\n" +
			"are still there. Look first with --dry-run. Replication, operators, dumps and schema changes\n" +
			"are left alone unless --pid, --fingerprint or --application names them.\n\n" +
			"With --direct it is for connections to PostgreSQL that do not come through Spillway.",
		flags: func(cmd *cobra.Command, c *containing) {
			s := &c.order.Select
			cmd.Flags().StringVar(&s.Workload, "workload", "", "of this workload; a glob, as --user, --database and --application")
			cmd.Flags().StringVar(&s.User, "user", "", "of this user")
			cmd.Flags().StringVar(&s.Database, "database", "", "of this database")
			cmd.Flags().StringVar(&s.Application, "application", "", "with this application_name")
			cmd.Flags().StringVar(&s.State, "state", "", "active, idle-in-transaction or idle")
			_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"active", "idle-in-transaction", "idle"}, cobra.ShellCompDirectiveNoFileComp))
			cmd.Flags().DurationVar(&older, "older", 0, "whose statement runs, or who is silent, for longer than this")
			cmd.Flags().StringVar(&s.Fingerprint, "fingerprint", "", "that run, or last ran, this statement")
			cmd.Flags().IntSliceVar(&pids, "pid", nil, "with this backend pid; may be given several times")
			cmd.Flags().IntVar(&c.order.Max, "max", 0, "do nothing if it would hit more; 0 is actions.max_targets of the config")
			cmd.Flags().BoolVar(&direct, "direct", false, "connections to PostgreSQL that do not come through Spillway; for admins")
			cmd.Flags().StringVar(&c.order.Server, "server", "", "with --direct: the server of the config; may be left out when there is one only")
			graceFlag(cmd, c)
		},
		read: func(c *containing, _ []string) error {
			if direct {
				c.order.Kind = node.ActTerminate
			} else if c.order.Server != "" {
				return usageError{errors.New("--server goes with --direct; behind Spillway select by --database")}
			}
			c.order.Select.OlderThan, c.order.Select.PIDs = node.ActDuration(older), pids
			return nil
		},
	}
}

func newAction(a actionCommand) *cobra.Command {
	var c containing
	cmd := &cobra.Command{
		Use:   a.use,
		Short: a.short,
		Long:  a.long,
		Args:  usage(cobra.ExactArgs(a.args)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.order.Kind = a.kind
			if err := a.read(&c, args); err != nil {
				return err
			}
			return c.do(cmd, max(a.wait, containWait))
		},
	}
	c.flags(cmd)
	if a.lasts {
		c.lasting(cmd)
	}
	if a.flags != nil {
		a.flags(cmd, &c)
	}
	return cmd
}
