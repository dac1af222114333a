package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node/remote"
)

// verifyTimeout is how long a node may take to read its whole log.
const verifyTimeout = 10 * time.Minute

// incidents are the flags that all commands about incidents share.
type incidents struct {
	asking
	by string
}

func (i *incidents) flags(cmd *cobra.Command) { i.asking.flags(cmd) }

// writer adds the flag of commands that put something into the record.
func (i *incidents) writer(cmd *cobra.Command) {
	i.asking.flags(cmd)
	cmd.Flags().StringVar(&i.by, "by", os.Getenv("SUDO_USER"), "your name, for the record; it stands before what the node knows of you")
}

// path is that of an incident's verb.
func (i *incidents) path(id, verb string) string {
	p := "incidents/" + url.PathEscape(id)
	if verb != "" {
		p += "/" + verb
	}
	if i.by != "" {
		p += "?by=" + url.QueryEscape(i.by)
	}
	return p
}

// call asks the node within a time, and reads its answer into value.
func (i *incidents) call(ctx context.Context, within time.Duration, ask func(context.Context, *remote.Client) error) error {
	running, err := i.node()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return ask(ctx, running)
}

// post asks a verb and prints that it was done.
func (i *incidents) post(cmd *cobra.Command, path string, body any, done func(map[string]any) string) error {
	var answer map[string]any
	err := i.call(cmd.Context(), time.Minute, func(ctx context.Context, running *remote.Client) error {
		return running.Call(ctx, http.MethodPost, path, body, &answer)
	})
	if err != nil {
		return err
	}
	if i.json() {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(answer)
	}
	return printDone(cmd.OutOrStdout(), done(answer), notesOf(answer), false)
}

func notesOf(answer map[string]any) []string {
	var notes []string
	list, _ := answer["notes"].([]any)
	for _, note := range list {
		notes = append(notes, fmt.Sprint(note))
	}
	return notes
}

func said(text string) func(map[string]any) string {
	return func(map[string]any) string { return text }
}

func newIncident() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "The record: incidents with their timelines, clocks, impact and post-mortems",
		Long: "Incidents open by themselves from what the detectors find, and take every finding, action,\n" +
			"note and change onto their timeline. ID may be \"last\", or the letters after the day.",
		SuggestionsMinimumDistance: 2,
		Args:                       noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help() // the error is that there was no command
			return usageError{errors.New("no command given")}
		},
	}
	cmd.AddCommand(newIncidentShow(), newIncidentReport(), newIncidentVerify())
	for _, t := range incidentTables() {
		cmd.AddCommand(newIncidentTable(t))
	}
	for _, v := range incidentVerbs() {
		cmd.AddCommand(newIncidentVerb(v))
	}
	for _, e := range []incidentEntry{noteEntry(), declareEntry(), changeEntry(), impactEntry(), itemEntry()} {
		cmd.AddCommand(newIncidentEntry(e))
	}
	return cmd
}

// incidentTable is a command that lists something of all incidents.
type incidentTable struct {
	use, short, all, facts string
	current                func(row) bool // what is shown without --all
	columns                []column
}

func incidentTables() []incidentTable {
	return []incidentTable{
		{use: "list", short: "Incidents, the newest first; those that are resolved with --all", all: "resolved ones too", facts: "incidents",
			current: func(r row) bool { return r["status"] != "resolved" }, columns: []column{
				{"ID", "id", text}, {"STATUS", "status", text}, {"SEV", "severity", text}, {"OPENED", "opened_at", moment}, {"FINDINGS", "findings_holding", text},
				{"ACKED BY", "acked_by", text}, {"COMMANDER", "commander", text}, {"ITEMS", "open_items", text}, {"TITLE", "title", brief},
			}},
		{use: "items", short: "Action items of all incidents that are not done; the others with --all", all: "done ones too", facts: "items",
			current: func(r row) bool { return r["done"] != true }, columns: []column{
				{"INCIDENT", "incident", text}, {"N", "n", text}, {"TYPE", "type", text}, {"OWNER", "owner", text}, {"DUE", "due", text},
				{"TICKET", "ticket", text}, {"DONE", "done", text}, {"ITEM", "text", text},
			}},
	}
}

func newIncidentTable(t incidentTable) *cobra.Command {
	var i incidents
	var all bool
	cmd := &cobra.Command{
		Use:   t.use,
		Short: t.short,
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := view{facts: t.facts, keep: func(r row) bool { return all || t.current(r) }, columns: t.columns}
			return i.ask(cmd, func(ctx context.Context, running *remote.Client) error { return v.show(ctx, cmd, running, i.json()) })
		},
	}
	i.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, t.all)
	return cmd
}

// mostBrief is how many letters of a title a line of a table has.
const mostBrief = 80

// brief is text that fits into the last column of a line.
func brief(value any, now time.Time) string {
	letters := []rune(text(value, now))
	if len(letters) > mostBrief {
		return string(letters[:mostBrief]) + "…"
	}
	return string(letters)
}

// moment shows a time in UTC.
func moment(value any, _ time.Time) string {
	at, err := time.Parse(time.RFC3339, fmt.Sprint(value))
	if err != nil || at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04:05")
}

func newIncidentVerify() *cobra.Command {
	var i incidents
	var head string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the chain of hashes over the whole log; exit 1 when it does not hold",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var raw json.RawMessage
			err := i.call(cmd.Context(), verifyTimeout, func(ctx context.Context, running *remote.Client) error {
				return running.Call(ctx, http.MethodGet, "record/verify?head="+url.QueryEscape(head), nil, &raw)
			})
			if err != nil {
				return err
			}
			return printChain(cmd, raw, i.json())
		},
	}
	i.flags(cmd)
	cmd.Flags().StringVar(&head, "head", "", "a head that verify printed earlier: it must still be in the chain")
	return cmd
}

func printChain(cmd *cobra.Command, raw json.RawMessage, asJSON bool) error {
	var v struct {
		Valid bool
		Chain struct {
			Events, First, Last, Missing, Broken uint64
			Head                                 string
			Breaks                               []struct {
				N   uint64
				Why string
			}
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	out := cmd.OutOrStdout()
	switch {
	case asJSON:
		fmt.Fprintln(out, string(raw))
	case v.Valid:
		fmt.Fprintf(out, "the chain holds: %d events, %d to %d, %d taken away by retention\nhead %s\n", v.Chain.Events, v.Chain.First, v.Chain.Last, v.Chain.Missing, v.Chain.Head)
	default:
		fmt.Fprintf(out, "the chain does NOT hold: %d breaks in %d events\n", v.Chain.Broken, v.Chain.Events)
		for _, b := range v.Chain.Breaks {
			if b.N == 0 { // none can be named
				fmt.Fprintf(out, "  %s\n", b.Why)
				continue
			}
			fmt.Fprintf(out, "  event %d: %s\n", b.N, b.Why)
		}
	}
	if !v.Valid {
		return errPrinted
	}
	return nil
}
