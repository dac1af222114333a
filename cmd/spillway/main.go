// Command spillway is a PostgreSQL connection pooler and guard. This package is
// the door: flags, subcommands and exit codes; everything else is in internal/.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// version is set by the linker (see the Makefile).
var version = "unknown"

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its edges as arguments; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(context.Background())
	return report(command, err, stderr)
}

// usageError is a command line that cannot be meant.
type usageError struct{ error }

// longError is an error that tells more over several lines.
type longError interface {
	error
	Text() string
}

// report prints err and returns the exit code for it.
func report(command *cobra.Command, err error, stderr io.Writer) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errPrinted) {
		return exitFailed
	}
	var code exitError
	if errors.As(err, &code) {
		return int(code)
	}
	var long longError
	if errors.As(err, &long) {
		fmt.Fprint(stderr, long.Text())
		return exitFailed
	}
	fmt.Fprintf(stderr, "spillway: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "Run '%s --help' for how to use it.\n", command.CommandPath())
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:                        "spillway",
		Short:                      "A PostgreSQL connection pooler and guard",
		Long:                       "Spillway stands between services and PostgreSQL: it pools connections, keeps every\nworkload inside its bounds and names who holds what.",
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		Args:                       noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help() // the error is that there was no command
			return usageError{errors.New("no command given")}
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServe(), newCheck(), newImport(), newVersion(), newStatus(), newTop(), newRules(), newReload(), newNotify(), newDoctor(), newSweep(), newJob(), newJobs())
	root.AddCommand(newIncident())
	root.AddCommand(newActions(), newToken())
	for _, a := range actionCommands() {
		root.AddCommand(newAction(a))
	}
	root.AddCommand(newDrill())
	for _, v := range views() {
		root.AddCommand(newShow(v))
	}
	root.InitDefaultCompletionCmd()
	offer(root)
	return root
}

// noSuchCommand refuses words that are no subcommand and names near ones.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("no such command: %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %q?", err, near[0])
	}
	return usageError{err}
}

// usage makes a cobra argument check answer with a usageError.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
