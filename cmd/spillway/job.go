package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"spillway/internal/config"
	"spillway/internal/node"
	"spillway/internal/node/remote"
)

// jobPlace are the flags that say where the leases are.
type jobPlace struct{ url, config, server string }

// flags adds those; the command adds --config itself, as it may have it already.
func (p *jobPlace) flags(cmd *cobra.Command) {
	p.urlFlag(cmd)
	cmd.Flags().StringVar(&p.server, "server", "", "a server of the config instead; may be left out when it has one only")
}

func (p *jobPlace) urlFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.url, "url", "", "PostgreSQL that keeps the lease: postgres://user@host/database (or SPILLWAY_JOB_URL)")
}

// given is the URL of the flag or the environment.
func (p *jobPlace) given() string {
	if p.url != "" {
		return p.url
	}
	return os.Getenv("SPILLWAY_JOB_URL")
}

// login is how to reach the database that keeps the lease of a job; the config
// is nil where a URL was given.
func (p *jobPlace) login(name string) (*pgx.ConnConfig, *config.Config, error) {
	if url := p.given(); url != "" {
		if p.server != "" {
			return nil, nil, usageError{errors.New("give --url (or SPILLWAY_JOB_URL) or --server, not both")}
		}
		login, err := node.JobLogin(url)
		return login, nil, err
	}
	c, err := config.Load(p.config)
	if err != nil {
		return nil, nil, fmt.Errorf("find the server (or give it with --url): %w", err)
	}
	login, err := node.JobServer(c, p.server, name)
	return login, c, err
}

// configFlag adds --config, for the servers in it.
func (p *jobPlace) configFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&p.config, "config", "c", "spillway.yaml", "the config whose server keeps the lease, without --url")
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
	cmd.AddCommand(newJobRun(), newJobForget())
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
			"124 is the deadline, 75 not run (it runs already), 74 the lease was lost, 127 the\n" +
			"command could not be started.\n\n" +
			"The command gets PGAPPNAME (job:NAME#TOKEN), SPILLWAY_JOB, SPILLWAY_JOB_TOKEN, and in\n" +
			"SPILLWAY_JOB_REPORT a file into which it may write how many rows it did, a number a line.",
		Example: "  spillway job run --name cleanup --every 1m --deadline 50s -- psql -f cleanup.sql",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Command = args
			if cmd.Flags().Changed("limit") && o.Overlap != "queue" {
				return usageError{errors.New("--limit goes with --overlap queue")}
			}
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
	_ = cmd.RegisterFlagCompletionFunc("overlap", cobra.FixedCompletions([]string{"skip", "queue", "replace"}, cobra.ShellCompDirectiveNoFileComp))
	p.configFlag(cmd)
	p.flags(cmd)
	return cmd
}

func newJobForget() *cobra.Command {
	var p jobPlace
	cmd := &cobra.Command{
		Use:   "forget NAME",
		Short: "Drop a job that is run no more, with its history",
		Long:  "Drops a job that is run no more, with its history: nobody misses it from then on.\nIts fencing tokens begin at 1 again.",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, _, err := p.login(args[0])
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), askTimeout)
			defer cancel()
			return node.ForgetJob(ctx, server, args[0])
		},
	}
	p.configFlag(cmd)
	p.flags(cmd)
	return cmd
}

// held fills in what jobs.NAME says and no flag does.
func held(cmd *cobra.Command, o *node.JobOrder, c *config.Config) {
	if c == nil || c.Jobs[o.Name] == nil {
		return
	}
	j := c.Jobs[o.Name]
	if !cmd.Flags().Changed("every") {
		o.Every = j.Every
	}
	if !cmd.Flags().Changed("deadline") {
		o.Deadline = j.Deadline
	}
}

func (p *jobPlace) run(cmd *cobra.Command, o node.JobOrder) error {
	if err := o.Check(); err != nil {
		return usageError{err}
	}
	server, loaded, err := p.login(o.Name)
	if err != nil {
		return err
	}
	held(cmd, &o, loaded)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	o.Server, o.Signals = server, signals
	o.Stdout, o.Stderr = os.Stdout, os.Stderr
	// A group of its own may not read the terminal: it would be stopped.
	if at, err := os.Stdin.Stat(); err == nil && at.Mode()&os.ModeCharDevice == 0 {
		o.Stdin = os.Stdin
	}
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
	p.urlFlag(cmd)
	a.flags(cmd)
	return cmd
}

// list asks the node, or the database of --url.
func (p *jobPlace) list(cmd *cobra.Command, a *asking) (items []row, at time.Time, err error) {
	asked := cmd.Flags().Changed("socket") || cmd.Flags().Changed("address") || cmd.Flags().Changed("config")
	if asked && p.url != "" {
		return nil, at, usageError{errors.New("give --url for the database itself, or what names a node, not both")}
	}
	if url := p.given(); url != "" && !asked {
		server, err := node.JobLogin(url)
		if err != nil {
			return nil, at, err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), askTimeout)
		defer cancel()
		states, err := node.ListJobs(ctx, server)
		if err != nil {
			return nil, at, err
		}
		raw, err := json.Marshal(append([]node.JobState{}, states...)) // [] for none
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
	err = a.ask(cmd, func(ctx context.Context, running *remote.Client) error {
		return running.Call(ctx, "GET", "jobs", nil, &answer)
	})
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
	}
	return printTable(cmd.OutOrStdout(), []column{
		{"JOB", "name", text}, {"EVERY", "every_seconds", seconds}, {"DEADLINE", "deadline_seconds", seconds}, {"RUNNING", "held", text}, {"WAITING", "waiting", text},
		{"BEGAN", "last.began", age}, {"LAST", "last.how", text}, {"EXIT", "last.exit", text}, {"ROWS", "last.rows", text},
		{"HOLDER", "last.holder", text}, {"WRONG", "wrong", text},
	}, items, at)
}
