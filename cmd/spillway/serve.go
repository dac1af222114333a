package main

import (
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node"
)

func newServe() *cobra.Command {
	var o node.ServeOptions
	cmd := &cobra.Command{
		Use:   "serve -c FILE",
		Short: "Run the pooler, its console, API and metrics",
		Long: "Runs a node until a signal ends it: HUP reloads the config, TERM and INT drain,\n" +
			"QUIT ends at once, USR1 pauses every pool and USR2 resumes them.",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Build, o.Log = build(), cmd.ErrOrStderr()
			return node.Serve(o)
		},
	}
	cmd.Flags().StringVarP(&o.Config, "config", "c", "spillway.yaml", "the config file")
	cmd.Flags().StringVar(&o.Pidfile, "pidfile", "", "write the process id to this file")
	cmd.Flags().DurationVar(&o.DrainDelay, "drain-delay", 0*time.Second, "wait between failing readiness and draining")
	return cmd
}

// build says what this binary was made from.
func build() node.Build {
	b := node.Build{Version: version}
	if b.Version == "unknown" {
		b.Version = "devel"
	}
	if read, ok := debug.ReadBuildInfo(); ok {
		for _, s := range read.Settings {
			if s.Key == "vcs.revision" {
				b.Revision = s.Value
			}
		}
	}
	return b
}
