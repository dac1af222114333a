package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node/remote"
)

// verdict is what status and top show of the node's answer.
type verdict struct {
	At       time.Time    `json:"at"`
	Region   string       `json:"region"`
	Level    string       `json:"level"`
	Healthy  bool         `json:"healthy"`
	Sentence string       `json:"sentence"`
	Hosts    []hostState  `json:"hosts"`
	Findings []findingRow `json:"findings"`
	RuledOut []string     `json:"ruled_out"`
	Unknown  []string     `json:"unknown"`
	Changes  []struct {
		At   time.Time `json:"at"`
		What string    `json:"what"`
	} `json:"changes"`
	Budgets []struct {
		Name   string  `json:"name"`
		Target float64 `json:"target"`
		Window string  `json:"window"`
		All    float64 `json:"transactions"`
		Bad    float64 `json:"bad"`
		Used   float64 `json:"budget_used_ratio"`
		Seen   float64 `json:"seen_seconds"`
	} `json:"budgets"`
}

type hostState struct {
	Name       string     `json:"name"`
	State      string     `json:"state"`
	Held       int        `json:"held"`
	Usable     int        `json:"usable"`
	FullSince  *time.Time `json:"full_since"`
	Waiting    int        `json:"waiting"`
	OldestWait float64    `json:"oldest_wait_seconds"`
	Holders    []struct {
		Name     string    `json:"name"`
		Held     int       `json:"held"`
		Idle     int       `json:"idle_in_transaction"`
		Share    float64   `json:"share_ratio"`
		OldestAt time.Time `json:"oldest_at"`
		SQL      string    `json:"sql"`
	} `json:"holders"`
	Forecast *struct {
		Full    float64 `json:"full_in_seconds"`
		Formula string  `json:"formula"`
	} `json:"forecast"`
}

type findingRow struct {
	Key      string    `json:"key"`
	Detector string    `json:"detector"`
	Level    string    `json:"level"`
	Summary  string    `json:"summary"`
	Evidence []string  `json:"evidence"`
	Runbook  string    `json:"runbook"`
	Since    time.Time `json:"since"`
}

func newStatus() *cobra.Command {
	var a asking
	var failOn string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "The verdict: what is wrong, since when, who causes it, what was ruled out",
		Long: "Prints what the running node makes of everything it sees: how full each server\nis and since when, who waits, who holds most, what was found with its evidence,\n" +
			"what was ruled out and what changed lately. The exit code is 0 when nothing was\nfound and 1 otherwise; with --fail-on page only what should wake somebody counts.",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if failOn != "warn" && failOn != "page" {
				return usageError{fmt.Errorf("--fail-on %q: want warn or page", failOn)}
			}
			return a.ask(cmd, func(ctx context.Context, running *remote.Client) error {
				return showStatus(ctx, cmd, running, a.json(), failOn)
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&failOn, "fail-on", "warn", "the least level that makes the exit code 1: warn or page")
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"warn", "page"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func showStatus(ctx context.Context, cmd *cobra.Command, running *remote.Client, asJSON bool, failOn string) error {
	var raw json.RawMessage
	if err := running.Call(ctx, http.MethodGet, "verdict", nil, &raw); err != nil {
		return err
	}
	var v verdict
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("read verdict: the node's answer is not as expected: %w", err)
	}
	out := cmd.OutOrStdout()
	if asJSON {
		if _, err := fmt.Fprintln(out, string(raw)); err != nil {
			return err
		}
	} else {
		facts, err := running.Facts(ctx, "state")
		if err != nil {
			return err
		}
		var state row
		if err := json.Unmarshal(facts.Items, &state); err != nil {
			return fmt.Errorf("read state: the node's answer is not as expected: %w", err)
		}
		printVerdict(out, &v)
		fmt.Fprintln(out)
		if err := printFields(out, statusFields(), state, facts.At); err != nil {
			return err
		}
	}
	if !v.Healthy && failOn == "warn" || v.Level == "page" {
		return errPrinted
	}
	return nil
}

// plainText keeps what a terminal must not obey out of what clients chose.
func plainText(s string) string { return text(s, time.Time{}) }

// printVerdict shows the sentence, then what it rests on.
func printVerdict(out io.Writer, v *verdict) {
	fmt.Fprintln(out, plainText(v.Sentence))
	for i := range v.Findings {
		f := &v.Findings[i]
		fmt.Fprintf(out, "\n%s %s, since %s (%s)\n  %s\n", strings.ToUpper(f.Level), plainText(f.Detector), f.Since.UTC().Format("15:04:05 UTC"), short(v.At.Sub(f.Since)), plainText(f.Summary))
		for _, line := range f.Evidence {
			fmt.Fprintln(out, "  - "+plainText(line))
		}
		if f.Runbook != "" {
			fmt.Fprintln(out, "  What to do: "+plainText(f.Runbook))
		}
	}
	fmt.Fprintln(out)
	for _, h := range v.Hosts {
		printHost(out, &h, v.At)
	}
	for _, b := range v.Budgets {
		fmt.Fprintf(out, "objective %s, %.6g %% good: %.1f %% of the error budget used; %.0f bad of %.0f transactions in the %s seen\n",
			plainText(b.Name), b.Target*100, b.Used*100, b.Bad, b.All, short(time.Duration(b.Seen*float64(time.Second))))
	}
	printLines(out, "ruled out", v.RuledOut)
	printLines(out, "not known", v.Unknown)
	for _, c := range v.Changes[:min(len(v.Changes), 5)] {
		fmt.Fprintf(out, "changed %s ago: %s\n", short(v.At.Sub(c.At)), plainText(c.What))
	}
}

func printLines(out io.Writer, head string, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(out, "%s: %s\n", head, plainText(line))
	}
}

func printHost(out io.Writer, h *hostState, at time.Time) {
	fmt.Fprintf(out, "%s: %s, %d of %d slots held, %d waiting", plainText(h.Name), h.State, h.Held, h.Usable, h.Waiting)
	if h.Waiting > 0 {
		fmt.Fprintf(out, ", the oldest for %s", seconds(h.OldestWait, at))
	}
	fmt.Fprintln(out)
	for _, g := range h.Holders {
		fmt.Fprintf(out, "  %s: %d held (%.0f %%), %d idle in a transaction, the oldest for %s: %s\n",
			plainText(g.Name), g.Held, g.Share*100, g.Idle, short(at.Sub(g.OldestAt)), plainText(g.SQL))
	}
	if h.Forecast != nil {
		fmt.Fprintf(out, "  full in %s: %s\n", short(time.Duration(h.Forecast.Full*float64(time.Second))), h.Forecast.Formula)
	}
}
