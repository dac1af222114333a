package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"spillway/internal/node"
)

func newVersion() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, revision, platform and what its kernel permits",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, out := build(), cmd.OutOrStdout()
			platform := runtime.GOOS + "/" + runtime.GOARCH
			ring, permitted := node.Ring()
			if output == "json" {
				return json.NewEncoder(out).Encode(struct {
					Version  string `json:"version"`
					Revision string `json:"revision,omitempty"`
					Go       string `json:"go"`
					Platform string `json:"platform"`
					Ring     string `json:"io_uring"`
					RingOK   bool   `json:"io_uring_permitted"`
				}{b.Version, b.Revision, runtime.Version(), platform, ring, permitted})
			}
			fmt.Fprintf(out, "spillway %s (%s, %s)\n", b.Version, runtime.Version(), platform)
			if b.Revision != "" {
				fmt.Fprintf(out, "revision %s\n", b.Revision)
			}
			word := "not permitted"
			if permitted {
				word = "permitted"
			}
			fmt.Fprintf(out, "io_uring %s: %s\n", word, ring)
			return nil
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
