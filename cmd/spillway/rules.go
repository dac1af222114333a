package main

import (
	"github.com/spf13/cobra"

	"spillway/internal/config"
	"spillway/internal/node"
)

func newRules() *cobra.Command {
	var path string
	var dashboard bool
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Print Prometheus rules, or a Grafana dashboard",
		Long: "Prints alerting and recording rules for Prometheus (2.42 or later), with the\nbounds that the detectors have without a config, or those of the file given.\n" +
			"With --dashboard it prints the JSON of a Grafana dashboard instead.",
		Example: "  spillway rules > /etc/prometheus/rules/spillway.yaml\n  spillway rules --dashboard > spillway.json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dashboard {
				_, err := cmd.OutOrStdout().Write(node.Dashboard())
				return err
			}
			var c *config.Config
			if path != "" {
				var err error
				if c, err = config.Load(path); err != nil {
					return err
				}
			}
			_, err := cmd.OutOrStdout().Write(node.Rules(c))
			return err
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "take the bounds of this config file")
	cmd.Flags().BoolVar(&dashboard, "dashboard", false, "print the Grafana dashboard")
	return cmd
}
