package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node"
	"spillway/internal/node/remote"
)

// reportTimeout is how long a node may take to read an incident's events.
const reportTimeout = time.Minute

func newIncidentShow() *cobra.Command {
	var i incidents
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "An incident: its clocks, impact, findings and timeline",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var raw json.RawMessage
			err := i.call(cmd.Context(), reportTimeout, func(ctx context.Context, running *remote.Client) error {
				return running.Call(ctx, http.MethodGet, i.path(args[0], ""), nil, &raw)
			})
			if err != nil {
				return err
			}
			if i.json() {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), string(raw))
				return err
			}
			var report node.IncidentReport
			if err := json.Unmarshal(raw, &report); err != nil {
				return fmt.Errorf("read the node's answer: %w", err)
			}
			return printIncident(cmd.OutOrStdout(), &report)
		},
	}
	i.flags(cmd)
	return cmd
}

// plainly makes a text harmless for a terminal.
func plainly(value string) string { return text(value, time.Time{}) }

func printIncident(out io.Writer, r *node.IncidentReport) error {
	fmt.Fprintf(out, "%s  SEV-%d  %s  %s\n", r.ID, r.Severity, r.Status, plainly(r.Title))
	if r.AckedBy != "" || r.Commander != "" {
		fmt.Fprintf(out, "acknowledged by %s, commander %s\n", orDash(r.AckedBy), orDash(r.Commander))
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "\nCLOCK\tAT (UTC)\tHOW")
	for _, m := range r.Clocks {
		fmt.Fprintf(table, "%s\t%s\t%s\n", m.Clock, m.At.UTC().Format("2006-01-02 15:04:05"), plainly(m.How))
	}
	fmt.Fprintln(table, "\nDURATION\tTIME\tFROM - TO")
	for _, d := range r.Durations {
		value := "-"
		if d.Known {
			value = short(time.Duration(d.Seconds * float64(time.Second)))
		}
		fmt.Fprintf(table, "%s %s\t%s\t%s - %s\n", d.Name, d.Meaning, value, d.From, d.To)
	}
	m := &r.Impact
	fmt.Fprintln(table, "\nIMPACT\tVALUE\tBY")
	if m.Measured {
		fmt.Fprintf(table, "transactions\t%d failed, %d slow of %d\tmeasured\n", m.Failed, m.Slow, m.Valid)
	}
	for _, figures := range [][]node.IncidentFigure{m.Budgets, m.Users, m.Revenue} {
		for _, f := range figures {
			mark := ""
			if f.Estimate {
				mark = "estimate: "
			}
			fmt.Fprintf(table, "%s\t%s %s\t%s%s\n", f.Name, strings.TrimSuffix(fmt.Sprintf("%.1f", f.Value), ".0"), f.Unit, mark, plainly(f.Formula))
		}
	}
	fmt.Fprintln(table, "\nTIME (UTC)\tWHO\tWHAT")
	for _, l := range r.Timeline {
		fmt.Fprintf(table, "%s\t%s\t%s\n", l.At.UTC().Format("01-02 15:04:05"), plainly(l.Who), plainly(l.Text))
	}
	return table.Flush()
}

func orDash(name string) string {
	if name == "" {
		return "nobody"
	}
	return plainly(name)
}

func newIncidentReport() *cobra.Command {
	var i incidents
	var folder string
	cmd := &cobra.Command{
		Use:   "report ID",
		Short: "Write the post-mortem: Markdown after the template, charts as SVG beside it",
		Long: "Writes incident-ID.md and its charts into a folder. What was measured is filled in, estimates\n" +
			"are marked and show their formula, what people must write is a prompt. --out - prints the Markdown alone.",
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var written struct {
				Report   json.RawMessage
				Markdown string
				Charts   map[string]string
			}
			err := i.call(cmd.Context(), reportTimeout, func(ctx context.Context, running *remote.Client) error {
				return running.Call(ctx, http.MethodGet, i.path(args[0], "report"), nil, &written)
			})
			switch {
			case err != nil:
				return err
			case i.json():
				_, err = fmt.Fprintln(cmd.OutOrStdout(), string(written.Report))
				return err
			case folder == "-":
				_, err = fmt.Fprint(cmd.OutOrStdout(), written.Markdown)
				return err
			}
			var about struct{ ID string }
			if err := json.Unmarshal(written.Report, &about); err != nil {
				return fmt.Errorf("read the node's answer: %w", err)
			}
			files := written.Charts
			if files == nil {
				files = map[string]string{}
			}
			files["incident-"+about.ID+".md"] = written.Markdown
			return writeFiles(cmd.OutOrStdout(), folder, files)
		},
	}
	i.flags(cmd)
	cmd.Flags().StringVar(&folder, "out", ".", "folder of the files; - prints the Markdown")
	return cmd
}

// writeFiles writes files into a folder and says which. Names that are not plain
// are refused: they came over a wire.
func writeFiles(out io.Writer, folder string, files map[string]string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	for name, content := range files {
		if !filepath.IsLocal(name) || filepath.Base(name) != name {
			return fmt.Errorf("write report: the node names a file %q", name)
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		fmt.Fprintln(out, path)
	}
	return nil
}
