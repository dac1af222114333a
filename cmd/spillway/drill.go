package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"spillway/internal/drill"
	"spillway/internal/drill/show"
)

func newDrill() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Replay an incident on servers of its own, bare and behind Spillway",
		Long: "Replays the incident of a report on real servers that it starts itself: PostgreSQL of\n" +
			"this machine with its files in a temporary folder, on free loopback ports. First\n" +
			"bare, then behind Spillway, with the same load and the same fault at the same second.",
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help() // the error is that there was no command
			return usageError{errors.New("no command given")}
		},
	}
	cmd.AddCommand(newDrillList(), newDrillRun())
	return cmd
}

func newDrillList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The drills there are",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(drillItems())
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(table, "NAME\tREPORTS\tTAKES\tWHAT HAPPENS")
			for _, d := range drillItems() {
				fmt.Fprintf(table, "%s\t%s\t%.0fs\t%s\n", d.Name, strings.Join(d.Reports, ", "), d.Seconds, d.Title)
			}
			return table.Flush()
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// drillItem is a drill in the list.
type drillItem struct {
	Name       string   `json:"name"`
	Title      string   `json:"title"`
	Reports    []string `json:"reports"`
	Seconds    float64  `json:"seconds"` // both sides, at scale 1
	Story      string   `json:"story"`
	Hypothesis string   `json:"hypothesis"`
	Steady     string   `json:"steady_state"`
}

func drillItems() []drillItem {
	var items []drillItem
	for _, d := range drill.All() {
		items = append(items, drillItem{d.Name, d.Title, d.Reports, 2 * d.Length(1).Seconds(), d.Story, d.Hypothesis, d.Steady})
	}
	return items
}

// drilling are the flags of a run.
type drilling struct {
	output, html string
	scale        float64
}

func newDrillRun() *cobra.Command {
	var f drilling
	var names []string
	for _, d := range drill.All() {
		names = append(names, d.Name)
	}
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Run a drill; exit code 1 when a promise is broken",
		Long: "Runs a drill: " + strings.Join(names, ", ") + ". Progress goes to standard error, the result\n" +
			"to standard output. Ctrl-C ends and removes everything it started; what a killed drill\n" +
			"leaves is removed by the next one.",
		Args:      usage(cobra.ExactArgs(1)),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, found := drill.Find(args[0])
			if !found {
				return usageError{fmt.Errorf("no such drill: %q; there are %s", args[0], strings.Join(names, ", "))}
			}
			if f.scale < drill.LeastScale || f.scale > drill.MostScale {
				return usageError{fmt.Errorf("scale %g is not between %g and %d", f.scale, drill.LeastScale, drill.MostScale)}
			}
			return f.run(cmd, d)
		},
	}
	outputFlag(cmd, &f.output)
	cmd.Flags().StringVar(&f.html, "html", "", "also write the result as a page with charts to this file")
	cmd.Flags().Float64Var(&f.scale, "scale", 1, "below 1 shorter and smaller, above 1 more load")
	return cmd
}

func (f *drilling) run(cmd *cobra.Command, d drill.Drill) error {
	page, err := f.openPage()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	progress := cmd.ErrOrStderr()
	if swept, err := drill.Clear(); err != nil {
		return err
	} else if swept > 0 {
		fmt.Fprintf(progress, "removed what %d killed drill(s) had left\n", swept)
	}
	if err := show.Intro(progress, d, widthOf(progress)); err != nil {
		return err
	}
	live := show.NewLive(progress, widthOf(progress))
	result, err := drill.Run(ctx, d, drill.Options{Scale: f.scale, Version: build().Version, Watch: live})
	live.End()
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(progress, "spillway: interrupted; what the drill had started is ended and removed")
		return errPrinted
	}
	if err != nil {
		return err
	}
	return f.print(cmd, result, page)
}

// openPage makes the page's file before the drill, so that a wrong path fails at
// once.
func (f *drilling) openPage() (*os.File, error) {
	if f.html == "" {
		return nil, nil
	}
	file, err := os.Create(f.html)
	if err != nil {
		return nil, fmt.Errorf("make the page: %w", err)
	}
	return file, nil
}

// print writes the result; a broken promise is a failure.
func (f *drilling) print(cmd *cobra.Command, result drill.Result, page *os.File) error {
	if page != nil {
		err := show.Page(page, result)
		if err := errors.Join(err, page.Close()); err != nil {
			return fmt.Errorf("write the page: %w", err)
		}
	}
	var err error
	if f.output == "json" {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(result)
	} else {
		err = show.Table(cmd.OutOrStdout(), result)
	}
	if err == nil && !result.Held {
		return errPrinted
	}
	return err
}

// widthOf is nil where there is no terminal.
func widthOf(out io.Writer) func() int {
	file, ok := out.(*os.File)
	if !ok || !isTerminal(file) {
		return nil
	}
	return func() int { return columnsOf(file) }
}
