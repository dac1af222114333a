package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node"
)

// runFlags are how a sweep may run.
type runFlags struct {
	yes, dryRun, detach, noVacuum bool
	rate                          float64
	share, window, zone, name     string
	deadline, batch               time.Duration
}

func (f *runFlags) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only plan")
	cmd.Flags().BoolVar(&f.detach, "detach", false, "let the node work and do not wait for the end")
	cmd.Flags().BoolVar(&f.noVacuum, "no-vacuum", false, "leave vacuuming to others altogether")
	cmd.Flags().Float64Var(&f.rate, "rate", 0, "most rows a second; 0 is no limit")
	cmd.Flags().StringVar(&f.share, "share", "25%", "most of the time spent deleting while others use the server")
	cmd.Flags().DurationVar(&f.batch, "batch", time.Millisecond, "how long a batch is to take while others use the server")
	cmd.Flags().StringVar(&f.window, "window", "", "hours in which to work, such as 22:00-06:00")
	cmd.Flags().StringVar(&f.zone, "time-zone", "", "time zone of the window; UTC when left out")
	cmd.Flags().DurationVar(&f.deadline, "deadline", 0, "pause after this long; 0 is never")
	cmd.Flags().StringVar(&f.name, "name", "", "run the sweep of this name in the node's config, now")
}

func (f *runFlags) options() (node.SweepOptions, error) {
	digits, signed := strings.CutSuffix(f.share, "%")
	share, err := strconv.ParseFloat(digits, 64)
	o := node.SweepOptions{Rate: f.rate, Share: share / 100, Beside: f.batch, Window: f.window, Zone: f.zone, Deadline: f.deadline, NoVacuum: f.noVacuum}
	switch {
	case err != nil || !signed:
		return o, usageError{fmt.Errorf("share %q is not a percentage: write a number and the sign, such as 25%%", f.share)}
	case !(share > 0 && share <= 100):
		return o, usageError{fmt.Errorf("share %q is not between 0%% and 100%%", f.share)}
	case f.rate < 0:
		return o, usageError{errors.New("rate is below 0")}
	case f.batch <= 0 || f.batch > time.Second:
		return o, usageError{fmt.Errorf("batch %s is not between 0 and 1s", f.batch)}
	case f.deadline < 0:
		return o, usageError{errors.New("deadline is below 0")}
	}
	if err := node.CheckSweepOptions(o); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

func newSweepRun() *cobra.Command {
	var s sweeping
	var o orderFlags
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run TABLE --where CONDITION",
		Short: "Delete the rows that a condition dooms",
		Long: "Plans, asks, and deletes in batches. With --url this command does the work and Ctrl-C\n" +
			"pauses it; without, the node does it and Ctrl-C only ends the watching.",
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := f.options()
			if err != nil {
				return err
			}
			var order node.SweepOrder
			switch {
			case f.name != "" && len(args) == 0 && o.where == "":
				order.Name, order.Server, order.Database = f.name, s.server, s.database
			case len(args) == 1:
				if order, err = o.order(args[0], &s); err != nil {
					return err
				}
			default:
				return usageError{errors.New("name a table and --where, or a sweep of the config with --name")}
			}
			order.Options = options
			return s.run(cmd, order, &f)
		},
	}
	s.flags(cmd)
	o.flags(cmd)
	f.flags(cmd)
	return cmd
}

// run plans, asks and sweeps.
func (s *sweeping) run(cmd *cobra.Command, order node.SweepOrder, f *runFlags) error {
	if !f.yes || f.dryRun {
		plan, err := s.plan(cmd.Context(), order)
		if err != nil {
			return err
		}
		if f.dryRun {
			return s.printPlan(cmd, plan)
		}
		fmt.Fprint(cmd.ErrOrStderr(), plan.Text(), "\n")
		yes, err := agreed(cmd, fmt.Sprintf("Delete about %.0f rows of %s?", plan.Doomed.Rows, plan.Table.Ident()))
		if err != nil || !yes {
			return err
		}
	}
	alone, err := s.alone()
	if err != nil {
		return err
	}
	if alone != nil && order.Name != "" {
		return usageError{errors.New("--name is a sweep of a node's config; leave --url out, or name a table and --where")}
	}
	if alone != nil {
		id, err := alone.Begin(cmd.Context(), order)
		if err != nil {
			return err
		}
		return s.runAlone(cmd, alone, id)
	}
	var begun node.SweepProgress
	if err := s.call(cmd.Context(), http.MethodPost, "sweeps/run", order, &begun); err != nil {
		return err
	}
	if f.detach {
		return printDone(cmd.OutOrStdout(), fmt.Sprintf("sweep %d of %s begins", begun.ID, begun.Table), nil, s.json())
	}
	return s.follow(cmd, begun)
}

// runAlone does the work in this process.
func (s *sweeping) runAlone(cmd *cobra.Command, alone *node.SweepAlone, id int64) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	bar := newBar(cmd.ErrOrStderr())
	last, err := alone.Run(ctx, id, bar.show)
	bar.end()
	if err != nil {
		return err
	}
	return s.printEnd(cmd, last)
}

// follow watches a sweep that a node runs.
func (s *sweeping) follow(cmd *cobra.Command, begun node.SweepProgress) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	bar := newBar(cmd.ErrOrStderr())
	defer bar.end()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := s.one(ctx, begun)
		if ctx.Err() != nil {
			bar.end()
			fmt.Fprintf(cmd.ErrOrStderr(), "sweep %d goes on in the node; spillway sweep pause %d pauses it\n", begun.ID, begun.ID)
			return nil
		}
		if err != nil {
			return err
		}
		if now.Phase != "running" {
			bar.end()
			return s.printEnd(cmd, now)
		}
		bar.show(now)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// one reads the sweep anew: from what the node has at work, which asks no
// database, and otherwise from its list.
func (s *sweeping) one(ctx context.Context, begun node.SweepProgress) (node.SweepProgress, error) {
	for _, path := range []string{"sweeps/live", "sweeps"} {
		var list struct {
			Items []node.SweepProgress `json:"items"`
		}
		if err := s.call(ctx, http.MethodGet, path, nil, &list); err != nil {
			return begun, err
		}
		for _, item := range list.Items {
			if item.ID == begun.ID && item.Database == begun.Database && (begun.Server == "" || item.Server == begun.Server) {
				return item, nil
			}
		}
	}
	return begun, fmt.Errorf("sweep %d is not in the node's list any more", begun.ID)
}

func (s *sweeping) printEnd(cmd *cobra.Command, p node.SweepProgress) error {
	if s.json() {
		if err := json.NewEncoder(cmd.OutOrStdout()).Encode(p); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(cmd.OutOrStdout(), endText(p))
	}
	if p.Phase == "failed" {
		return errPrinted
	}
	return nil
}

func endText(p node.SweepProgress) string {
	text := fmt.Sprintf("sweep %d of %s %s: %d rows deleted in %d batches", p.ID, p.Table, p.Phase, p.Deleted, p.Batches)
	if p.Ended != nil {
		text += fmt.Sprintf(", %s", short(p.Ended.Sub(p.Created)))
	}
	if p.Reason != "" {
		text += "; " + p.Reason
	}
	if p.Phase == "paused" {
		text += fmt.Sprintf("; go on with: spillway sweep resume %d", p.ID)
	}
	return text
}

func newSweepResume() *cobra.Command {
	var s sweeping
	var detach bool
	cmd := &cobra.Command{
		Use:   "resume ID|TABLE",
		Short: "Take a sweep up where it was, from any node, after any restart",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			alone, err := s.alone()
			if err != nil {
				return err
			}
			if alone != nil {
				id, err := alone.Find(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return s.runAlone(cmd, alone, id)
			}
			var now node.SweepProgress
			if err := s.call(cmd.Context(), http.MethodPost, "sweeps/resume", s.ref(args[0]), &now); err != nil {
				return err
			}
			if detach {
				return printDone(cmd.OutOrStdout(), fmt.Sprintf("sweep %d of %s goes on", now.ID, now.Table), nil, s.json())
			}
			return s.follow(cmd, now)
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&detach, "detach", false, "let the node work and do not wait for the end")
	return cmd
}
