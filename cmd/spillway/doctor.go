package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/config"
	"spillway/internal/node"
	"spillway/internal/node/remote"
)

func newDoctor() *cobra.Command {
	var path, output string
	var send bool
	cmd := &cobra.Command{
		Use:   "doctor -c FILE",
		Short: "Try everything a config names: logins, rights, slots, clocks, certificates, files, ports, alarms",
		Long: "Tries everything that a config names, from here, and says how to mend what is wrong.\n" +
			"Run it as the user Spillway runs as. It needs no running node and does not disturb one.\n" +
			"Exits 1 when something does not work; warnings alone exit 0.",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := config.Load(path)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			options := node.DoctorOptions{Send: send, Running: nodeRuns(cmd.Context(), loaded.DataDir)}
			if output != "json" {
				options.Tell = func(results []node.DoctorResult) { printResults(out, results) }
			}
			report := node.Doctor(cmd.Context(), loaded, options)
			if output == "json" {
				err = json.NewEncoder(out).Encode(report)
			} else {
				fmt.Fprintf(out, "\n%d ok, %d warn, %d fail\n", report.OK, report.Warn, report.Fail)
			}
			if err == nil && report.Fail > 0 {
				err = errPrinted
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "spillway.yaml", "the config file")
	cmd.Flags().BoolVar(&send, "send", false, "send a test through every alarm channel")
	outputFlag(cmd, &output)
	return cmd
}

// nodeRunsWithin is how long a running node may take to say that it is there.
const nodeRunsWithin = 3 * time.Second

func nodeRuns(ctx context.Context, dataDir string) bool {
	ctx, cancel := context.WithTimeout(ctx, nodeRunsWithin)
	defer cancel()
	_, err := remote.New(node.AdminSocket(dataDir)).Facts(ctx, "state")
	return err == nil
}

// printResults shows one area: a line for each look, and below it how to mend it.
func printResults(out io.Writer, results []node.DoctorResult) {
	at := time.Now()
	for _, r := range results {
		fmt.Fprintf(out, "%-5s %-16s %-32s %s\n", marked(string(r.Status)), text(r.Area, at), text(r.Check, at), text(r.Found, at))
		if r.Mend != "" {
			fmt.Fprintf(out, "%-5s %-16s %-32s mend: %s\n", "", "", "", text(r.Mend, at))
		}
	}
}

// marked tells a failure from the rest without color.
func marked(status string) string {
	if status == "fail" {
		return strings.ToUpper(status)
	}
	return status
}
