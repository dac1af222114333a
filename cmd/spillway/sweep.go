package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node"
	"spillway/internal/node/remote"
)

// sweepAskTimeout is how long a node may take to plan: it samples the table.
const sweepAskTimeout = time.Minute

// sweeping are the flags that all sweep commands share.
type sweeping struct {
	asking
	url, server, database string
}

func (s *sweeping) flags(cmd *cobra.Command) {
	s.asking.flags(cmd)
	cmd.Flags().StringVar(&s.url, "url", "", "work without a node, over this connection: postgres://user@host/database (or SPILLWAY_SWEEP_URL)")
	cmd.Flags().StringVar(&s.server, "server", "", "the node's server; may be left out when it has one only")
	cmd.Flags().StringVar(&s.database, "database", "", "the database on that server; that of the server's url when left out")
}

// alone is the connection of --url, nil when a node is asked.
func (s *sweeping) alone() (*node.SweepAlone, error) {
	url := s.url
	if url == "" && s.socket == "" {
		url = os.Getenv("SPILLWAY_SWEEP_URL")
	}
	if url == "" {
		return nil, nil
	}
	return node.NewSweepAlone(url)
}

// call asks the node and reads its answer into value.
func (s *sweeping) call(ctx context.Context, method, path string, body, value any) error {
	running, err := s.node()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sweepAskTimeout)
	defer cancel()
	return running.Call(ctx, method, path, body, value)
}

func newSweep() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "Delete many rows in batches that nobody notices",
		Long: "Deletes the rows that a condition dooms, in batches that make way for live traffic.\n" +
			"With --url it works by itself, otherwise it asks the running node.",
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help() // the error is that there was no command
			return usageError{errors.New("no command given")}
		},
	}
	cmd.AddCommand(newSweepPlan(), newSweepRun(), newSweepList(),
		newSweepVerb("pause", "Stop a sweep after the batch under way; it can be resumed"),
		newSweepVerb("cancel", "End a sweep for good; what is deleted stays deleted"),
		newSweepResume())
	return cmd
}

// orderFlags are what says which rows go, and how.
type orderFlags struct{ where, strategy, keepIn string }

func (o *orderFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.where, "where", "w", "", "which rows go: one SQL expression; now() is fixed when the sweep starts")
	cmd.Flags().StringVar(&o.strategy, "strategy", "auto", "auto, tid, pk, keyset, drop or copy")
	cmd.Flags().StringVar(&o.keepIn, "keep-in", "", "a table, or the absolute path of a file, that takes the rows before they go")
}

func (o *orderFlags) order(table string, s *sweeping) (order node.SweepOrder, err error) {
	if o.where == "" {
		return order, usageError{errors.New(`no condition given; name the rows with --where "expires_at < now()"`)}
	}
	order.Server, order.Database = s.server, s.database
	order.Table, order.Where, order.Strategy, order.KeepIn = table, o.where, node.SweepStrategy(o.strategy), o.keepIn
	return order, nil
}

func newSweepPlan() *cobra.Command {
	var s sweeping
	var o orderFlags
	cmd := &cobra.Command{
		Use:   "plan TABLE --where CONDITION",
		Short: "Say what a sweep would do, what it would cost, and what is missing; changes nothing",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			order, err := o.order(args[0], &s)
			if err != nil {
				return err
			}
			plan, err := s.plan(cmd.Context(), order)
			if err != nil {
				return err
			}
			return s.printPlan(cmd, plan)
		},
	}
	s.flags(cmd)
	o.flags(cmd)
	return cmd
}

func (s *sweeping) plan(ctx context.Context, order node.SweepOrder) (*node.SweepPlan, error) {
	alone, err := s.alone()
	if err != nil {
		return nil, err
	}
	if alone != nil {
		ctx, cancel := context.WithTimeout(ctx, sweepAskTimeout)
		defer cancel()
		return alone.Plan(ctx, order)
	}
	plan := new(node.SweepPlan)
	return plan, s.call(ctx, http.MethodPost, "sweeps/plan", order, plan)
}

func (s *sweeping) printPlan(cmd *cobra.Command, plan *node.SweepPlan) error {
	if s.json() {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(plan)
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), plan.Text())
	return err
}

func newSweepList() *cobra.Command {
	var s sweeping
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Sweeps at work, paused and over",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := s.list(cmd.Context())
			if err != nil {
				return err
			}
			return s.printList(cmd, list)
		},
	}
	s.flags(cmd)
	return cmd
}

func (s *sweeping) list(ctx context.Context) (remote.Listing, error) {
	alone, err := s.alone()
	if err != nil {
		return remote.Listing{}, err
	}
	if alone == nil {
		var list remote.Listing
		return list, s.call(ctx, http.MethodGet, "sweeps", nil, &list)
	}
	items, err := alone.List(ctx)
	if err != nil {
		return remote.Listing{}, err
	}
	raw, err := json.Marshal(items)
	return remote.Listing{At: time.Now(), Items: raw}, err
}

func (s *sweeping) printList(cmd *cobra.Command, list remote.Listing) error {
	if s.json() {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
	}
	var rows []row
	if err := json.Unmarshal(list.Items, &rows); err != nil {
		return fmt.Errorf("read sweeps: the answer is not as expected: %w", err)
	}
	for _, r := range rows {
		if r["phase"] == "running" && r["alive"] == false {
			r["phase"] = "no runner"
		}
	}
	return printTable(cmd.OutOrStdout(), []column{
		{"ID", "id", text}, {"TABLE", "table", text}, {"DATABASE", "database", text}, {"WHERE", "job.order.where", text}, {"STATE", "phase", text},
		{"STRATEGY", "job.strategy", text}, {"DELETED", "deleted", text}, {"LEFT", "left", rounded}, {"ROWS/S", "rows_per_second", rounded}, {"λ", "job.lambda", rounded},
		{"BEGAN", "created", age}, {"HEARD", "beat", age}, {"HOLDER", "holder", text}, {"BRAKE", "brake", text}, {"REASON", "reason", text},
	}, rows, list.At)
}

// rounded shows a number without its fractions.
func rounded(value any, _ time.Time) string {
	n, ok := value.(float64)
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.0f", n)
}

// newSweepVerb makes pause and cancel.
func newSweepVerb(verb, short string) *cobra.Command {
	var s sweeping
	cmd := &cobra.Command{
		Use:   verb + " ID|TABLE",
		Short: short,
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			alone, err := s.alone()
			if err != nil {
				return err
			}
			var now node.SweepProgress
			if alone != nil {
				now, err = alone.Ask(cmd.Context(), args[0], verb)
			} else {
				err = s.call(cmd.Context(), http.MethodPost, "sweeps/"+verb, s.ref(args[0]), &now)
			}
			if err != nil {
				return err
			}
			done := fmt.Sprintf("sweep %d of %s: %s asked for; it holds after the batch under way", now.ID, now.Table, verb)
			if !now.Alive {
				done = fmt.Sprintf("sweep %d of %s is %s after %d rows", now.ID, now.Table, now.Phase, now.Deleted)
			}
			return printDone(cmd.OutOrStdout(), done, nil, s.json())
		},
	}
	s.flags(cmd)
	return cmd
}

func (s *sweeping) ref(sweep string) map[string]string {
	return map[string]string{"server": s.server, "database": s.database, "sweep": sweep}
}

// agreed asks the person at the terminal.
func agreed(cmd *cobra.Command, question string) (bool, error) {
	if !isTerminal(os.Stdin) {
		return false, usageError{errors.New("nobody is there to ask; give --yes if that is meant")}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil {
		return false, nil // the terminal is gone: no
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
