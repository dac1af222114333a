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
	cmd.AddCommand(newIncidentList(), newIncidentShow(), newIncidentReport(), newIncidentVerify(), newIncidentNote(), newIncidentDeclare(),
		newIncidentChange(), newIncidentItem(), newIncidentItems(), newIncidentImpact())
	for _, v := range incidentVerbs() {
		cmd.AddCommand(newIncidentVerb(v))
	}
	return cmd
}

func newIncidentList() *cobra.Command {
	var i incidents
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Incidents, the newest first; those that are resolved with --all",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := view{facts: "incidents", keep: func(r row) bool { return all || r["status"] != "resolved" }, columns: []column{
				{"ID", "id", text}, {"STATUS", "status", text}, {"SEV", "severity", text}, {"OPENED", "opened_at", moment}, {"FINDINGS", "findings_holding", text},
				{"ACKED BY", "acked_by", text}, {"COMMANDER", "commander", text}, {"ITEMS", "open_items", text}, {"TITLE", "title", text},
			}}
			return i.ask(cmd, func(ctx context.Context, running *remote.Client) error { return v.show(ctx, cmd, running, i.json()) })
		},
	}
	i.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "resolved ones too")
	return cmd
}

func newIncidentItems() *cobra.Command {
	var i incidents
	var all bool
	cmd := &cobra.Command{
		Use:   "items",
		Short: "Action items of all incidents that are not done; the others with --all",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := view{facts: "items", keep: func(r row) bool { return all || r["done"] != true }, columns: []column{
				{"INCIDENT", "incident", text}, {"N", "n", text}, {"TYPE", "type", text}, {"OWNER", "owner", text}, {"DUE", "due", text},
				{"TICKET", "ticket", text}, {"DONE", "done", text}, {"ITEM", "text", text},
			}}
			return i.ask(cmd, func(ctx context.Context, running *remote.Client) error { return v.show(ctx, cmd, running, i.json()) })
		},
	}
	i.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "done ones too")
	return cmd
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
			fmt.Fprintf(out, "  event %d: %s\n", b.N, b.Why)
		}
	}
	if !v.Valid {
		return errPrinted
	}
	return nil
}
