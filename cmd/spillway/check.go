package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"spillway/internal/config"
)

// errPrinted fails a command that has said everything already.
var errPrinted = errors.New("printed")

func newCheck() *cobra.Command {
	var path, output string
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Check a config file: line, column, caret, why and the mend",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			report := config.Check(path)
			if err := printReport(cmd.OutOrStdout(), report, output); err != nil {
				return err
			}
			if !report.OK() {
				return errPrinted
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "spillway.yaml", "the config file")
	outputFlag(cmd, &output)
	return cmd
}

func printReport(out io.Writer, r config.Report, output string) error {
	if output != "json" {
		_, err := io.WriteString(out, r.Text())
		return err
	}
	problems := make([]problem, 0, len(r.Problems))
	for _, p := range r.Problems {
		problems = append(problems, problem{p.File, p.Line, p.Column, p.Warning, p.What, p.Why, p.Mend})
	}
	if len(r.Problems) == 0 && !r.OK() {
		problems = append(problems, problem{File: r.Path, What: strings.TrimSpace(r.Text())})
	}
	return json.NewEncoder(out).Encode(map[string]any{"ok": r.OK(), "problems": problems})
}

// problem is one line of check -o json.
type problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Warning bool   `json:"warning"`
	What    string `json:"what"`
	Why     string `json:"why,omitempty"`
	Mend    string `json:"mend,omitempty"`
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
