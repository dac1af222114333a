package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"spillway/internal/config"
)

// errPrinted fails a command that has said everything already.
var errPrinted = errors.New("printed")

func newCheck() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Check a config file: line, column, caret, why and the mend",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			report := config.Check(path)
			fmt.Fprint(cmd.OutOrStdout(), report.Text())
			if !report.OK() {
				return errPrinted
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "spillway.yaml", "the config file")
	return cmd
}

func newImport() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "import PGBOUNCER.INI",
		Short: "Print the same set-up as spillway.yaml, and what has no counterpart",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("open ini: %w", err)
			}
			defer in.Close()
			yaml, notes, err := config.Import(args[0], in, filepath.Dir(args[0]))
			if err != nil {
				return err
			}
			for _, n := range notes {
				fmt.Fprintln(cmd.ErrOrStderr(), n.String())
			}
			if output == "" {
				_, err = cmd.OutOrStdout().Write(yaml)
				return err
			}
			// It may hold passwords that stood in the ini.
			if err := os.WriteFile(output, yaml, 0o600); err != nil {
				return fmt.Errorf("write config: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this file instead of printing")
	return cmd
}
