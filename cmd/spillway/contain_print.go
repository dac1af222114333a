package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node"
	"spillway/internal/node/remote"
)

// printAction shows an action with all that it hit, or would.
func printAction(out io.Writer, a *node.Action, at time.Time, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(a)
	}
	fmt.Fprintln(out, text(actionLine(a, at), at))
	for _, note := range a.Notes {
		fmt.Fprintln(out, text("note: "+note, at))
	}
	if a.Error != "" {
		fmt.Fprintln(out, text("error: "+a.Error, at))
	}
	if a.Output != "" {
		fmt.Fprint(out, "output:\n"+indented(a.Output))
	}
	if len(a.Hits) == 0 {
		return nil
	}
	rows, err := rowsOf(a.Hits)
	if err != nil {
		return err
	}
	return printTable(out, []column{
		{"PID", "pid", text}, {"WORKLOAD", "workload", text}, {"USER", "user", text}, {"DATABASE", "database", text}, {"APPLICATION", "application", text},
		{"STATE", "state", text}, {"TRANSACTION", "transaction_at", age}, {"STATEMENT", "query_at", age}, {"OUTCOME", "outcome", text},
		{"FINGERPRINT", "fingerprint", text}, {"SQL", "sql", text},
	}, rows, at)
}

// actionLine is an action in one line.
func actionLine(a *node.Action, at time.Time) string {
	parts := []string{fmt.Sprintf("%s %s", a.Order.Kind, a.Subject)}
	switch a.State {
	case node.ActPreviewed:
		parts[0] += " (dry run: nothing was done)"
	case node.ActStands:
		parts = append(parts, fmt.Sprintf("stands for %s, until %s", short(a.Until.Sub(at)), a.Until.UTC().Format(time.RFC3339)))
	default:
		parts = append(parts, string(a.State))
	}
	strikes := a.Order.Kind == node.ActKill || a.Order.Kind == node.ActTerminate || a.Order.Cancel
	switch {
	case a.Order.Kind == node.ActBan:
		parts = append(parts, fmt.Sprintf("%d have it now", a.Targets))
	case a.State == node.ActPreviewed && strikes:
		parts = append(parts, fmt.Sprintf("would hit %d", a.Targets))
	case a.Targets > 0:
		parts = append(parts, fmt.Sprintf("%d selected%s", a.Targets, outcomesOf(a.Hits)))
	}
	if a.Guarded > 0 {
		parts = append(parts, fmt.Sprintf("%d guarded and left alone", a.Guarded))
	}
	if a.State != node.ActPreviewed {
		parts = append(parts, "action "+a.ID)
	}
	return strings.Join(parts, "; ")
}

func outcomesOf(hits []node.ActHit) string {
	counts := map[string]int{}
	var order []string
	for i := range hits {
		outcome := hits[i].Outcome
		if outcome == "" {
			continue
		}
		if counts[outcome] == 0 {
			order = append(order, outcome)
		}
		counts[outcome]++
	}
	slices.Sort(order)
	for i, outcome := range order {
		order[i] = fmt.Sprintf("%d %s", counts[outcome], outcome)
	}
	if len(order) == 0 {
		return ""
	}
	return ": " + strings.Join(order, ", ")
}

// indented is the output of a command, which a terminal must not obey.
func indented(output string) string {
	var all strings.Builder
	for line := range strings.Lines(output) {
		all.WriteString("  " + text(strings.TrimRight(line, "\r\n"), time.Time{}) + "\n")
	}
	return all.String()
}

func rowsOf(values any) ([]row, error) {
	raw, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	var rows []row
	return rows, json.Unmarshal(raw, &rows)
}

func newActions() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "actions [ID]",
		Short: "What people and rules have done, the newest first; with an ID all of one",
		Args:  usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, func(ctx context.Context, running *remote.Client) error {
				if len(args) == 0 {
					return actionsView().show(ctx, cmd, running, a.json())
				}
				var one node.Action
				if err := running.Call(ctx, http.MethodGet, "actions/"+url.PathEscape(args[0]), nil, &one); err != nil {
					return fmt.Errorf("read action: %w", err)
				}
				return printAction(cmd.OutOrStdout(), &one, time.Now(), a.json())
			})
		},
	}
	a.flags(cmd)
	return cmd
}

func actionsView() *view {
	return &view{facts: "actions", columns: []column{
		{"ID", "id", text}, {"ACTION", "order.kind", text}, {"SUBJECT", "subject", text}, {"STATE", "state", text}, {"AGO", "at", age},
		{"LEFT", "until", left}, {"TARGETS", "targets", text}, {"BY", "who", text}, {"REASON", "order.reason", text}, {"ERROR", "error", text},
	}}
}

// left shows how long after at a moment comes.
func left(value any, at time.Time) string {
	moment, err := time.Parse(time.RFC3339, fmt.Sprint(value))
	if err != nil {
		return "?"
	}
	if !moment.After(at) {
		return "-"
	}
	return short(moment.Sub(at))
}
