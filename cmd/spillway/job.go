package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/config"
	"spillway/internal/node"
)

// jobPlace are the flags that say where the leases are.
type jobPlace struct{ url, config, server string }

func (p *jobPlace) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.url, "url", "", "PostgreSQL that keeps the lease: postgres://user@host/database (or SPILLWAY_JOB_URL)")
	cmd.Flags().StringVar(&p.server, "server", "", "a server of the config instead; may be left out when it has one only")
}

// given is the URL of the flag or the environment.
func (p *jobPlace) given() string {
	if p.url != "" {
		return p.url
	}
	return os.Getenv("SPILLWAY_JOB_URL")
}

func newJob() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "job",
		Short: "Run a command that cannot overlap itself",
		Args:  noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help() // the error is that there was no command
			return usageError{errors.New("no command given")}
		},
	}
	cmd.AddCommand(newJobRun())
	return cmd
}

func newJobRun() *cobra.Command {
	var p jobPlace
	var o node.JobOrder
	cmd := &cobra.Command{
		Use:   "run --name NAME [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a command under a lease, with a deadline",
		Long: "Runs a command once, unless it runs already, here or anywhere else that uses the same\n" +
			"database; cron or a timer calls it. Its exit code and signals pass through; besides,\n" +
			"124 is the deadline, 75 not run (it runs already), 74 the lease was lost.",
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Command = args
			return p.run(cmd, o)
		},
	}
	cmd.Flags().StringVar(&o.Name, "name", "", "the job's name: who has the same one does not run at once")
	cmd.Flags().DurationVar(&o.Every, "every", 0, "how often it is expected to start; spillway jobs tells when it does not")
	cmd.Flags().DurationVar(&o.Deadline, "deadline", 0, "longest run: then TERM, after --grace KILL, and its statements are cancelled; 0 is none")
	cmd.Flags().DurationVar(&o.Grace, "grace", 5*time.Second, "time between TERM and KILL")
	cmd.Flags().StringVar((*string)(&o.Overlap), "overlap", "skip", "when it runs already: skip, queue (wait for its end) or replace (end that one)")
	cmd.Flags().IntVar(&o.Limit, "limit", 1, "with --overlap queue, how many may wait; one more is skipped")
	cmd.Flags().DurationVar(&o.Patience, "patience", 30*time.Second, "how long a PostgreSQL that is away or full is tried")
	cmd.Flags().StringVarP(&p.config, "config", "c", "spillway.yaml", "the config whose server keeps the lease, without --url")
	p.flags(cmd)
	return cmd
}

func (p *jobPlace) run(cmd *cobra.Command, o node.JobOrder) error {
	if err := o.Check(); err != nil {
		return usageError{err}
	}
	server, err := node.JobServer(p.given(), func() (*config.Config, error) { return config.Load(p.config) }, p.server)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	o.Server, o.Signals = server, signals
	o.Stdin, o.Stdout, o.Stderr = os.Stdin, os.Stdout, os.Stderr
	o.Tell = func(text string) { fmt.Fprintf(cmd.ErrOrStderr(), "spillway: job %s: %s\n", o.Name, text) }
	out, err := node.RunJob(cmd.Context(), o)
	if out.How == "" {
		return err
	}
	if err != nil {
		o.Tell(err.Error())
	}
	if out.How == node.JobSkipped {
		o.Tell("not run: " + out.Note)
	}
	if code := out.Code(); code != 0 {
		return exitError(code)
	}
	if err != nil {
		return errPrinted
	}
	return nil
}

// exitError is another program's exit code to pass on; it was all said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func newJobs() *cobra.Command {
	var p jobPlace
	var a asking
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "Jobs: who runs, how the last runs ended, and what is wrong",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			items, at, err := p.list(cmd, &a)
			if err != nil {
				return err
			}
			if a.json() {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"at": at, "items": items})
			}
			return printJobs(cmd, items, at)
		},
	}
	p.flags(cmd)
	a.flags(cmd)
	return cmd
}

// list asks the node, or the database of --url.
func (p *jobPlace) list(cmd *cobra.Command, a *asking) (items []row, at time.Time, err error) {
	if url := p.given(); url != "" && a.socket == "" {
		server, err := node.JobServer(url, nil, "")
		if err != nil {
			return nil, at, err
		}
		states, err := node.ListJobs(cmd.Context(), server)
		if err != nil {
			return nil, at, err
		}
		raw, err := json.Marshal(states)
		if err != nil {
			return nil, at, err
		}
		return items, time.Now(), json.Unmarshal(raw, &items)
	}
	var answer struct {
		At       time.Time
		Items    []row
		Problems []string
	}
	running, err := a.node()
	if err == nil {
		err = running.Call(cmd.Context(), "GET", "jobs", nil, &answer)
	}
	for _, problem := range answer.Problems {
		fmt.Fprintln(cmd.ErrOrStderr(), "spillway: "+problem)
	}
	return answer.Items, answer.At, err
}

func printJobs(cmd *cobra.Command, items []row, at time.Time) error {
	for _, r := range items {
		runs, _ := r["runs"].([]any)
		if len(runs) > 0 {
			r["last"] = runs[0]
			if last, ok := runs[0].(map[string]any); ok && last["how"] == nil {
				last["how"] = "running"
			}
		}
		var wrong []any
		facts, _ := r["facts"].([]any)
		for _, fact := range facts {
			if f, ok := fact.(map[string]any); ok {
				wrong = append(wrong, f["text"])
			}
		}
		if len(wrong) > 0 {
			r["wrong"] = wrong
		}
		for _, name := range []string{"every", "deadline"} {
			if ns, ok := r[name+"_ns"].(float64); ok {
				r[name] = ns / 1e9
			}
		}
	}
	return printTable(cmd.OutOrStdout(), []column{
		{"JOB", "name", text}, {"EVERY", "every", seconds}, {"DEADLINE", "deadline", seconds}, {"RUNS", "held", text}, {"WAITING", "waiting", text},
		{"BEGAN", "last.began", age}, {"LAST", "last.how", text}, {"EXIT", "last.exit", text}, {"ROWS", "last.rows", text},
		{"HOLDER", "last.holder", text}, {"WRONG", "wrong", text},
	}, items, at)
}
