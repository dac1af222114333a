package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// incidentVerb is a command that does one thing to an incident.
type incidentVerb struct {
	use, short, verb string
	most             int // words after the id
	least            int
	body             func(words []string, reason string) (any, error)
	done             string
	reason           string // meaning of --reason; "" has none
}

func incidentVerbs() []incidentVerb {
	reason := func(_ []string, reason string) (any, error) { return map[string]string{"reason": reason}, nil }
	return []incidentVerb{
		{use: "ack ID", short: "Say that you take it", verb: "ack", body: func([]string, string) (any, error) { return nil, nil }, done: "acknowledged"},
		{use: "commander ID NAME", short: "Give it a commander", verb: "commander", least: 1, most: 1, done: "noted",
			body: func(w []string, _ string) (any, error) { return map[string]string{"name": w[0]}, nil }},
		{use: "join ID NAME [ROLE]", short: "Note who takes part", verb: "join", least: 1, most: 2, done: "noted",
			body: func(w []string, _ string) (any, error) {
				return map[string]string{"name": w[0], "role": strings.Join(w[1:], "")}, nil
			}},
		{use: "severity ID 1..5", short: "Set the severity; 1 is the worst", verb: "severity", least: 1, most: 1, done: "set", reason: "why",
			body: func(w []string, reason string) (any, error) {
				n, err := strconv.Atoi(w[0])
				if err != nil {
					return nil, usageError{fmt.Errorf("severity %q is not a number", w[0])}
				}
				return map[string]any{"severity": n, "why": reason}, nil
			}},
		{use: "escalate ID", short: "Say that more people are needed", verb: "escalate", body: reason, done: "escalated", reason: "why"},
		{use: "resolve ID", short: "Say that it is over: smoke checks must pass, or a reason be given", verb: "resolve", body: reason, done: "resolved",
			reason: "why it is over although smoke checks do not say so"},
		{use: "reopen ID", short: "Open it again", verb: "reopen", body: reason, done: "open again", reason: "why"},
	}
}

func newIncidentVerb(v incidentVerb) *cobra.Command {
	var i incidents
	var reason string
	cmd := &cobra.Command{
		Use:   v.use,
		Short: v.short,
		Args:  usage(cobra.RangeArgs(1+v.least, 1+v.most)),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := v.body(args[1:], reason)
			if err != nil {
				return err
			}
			return i.post(cmd, i.path(args[0], v.verb), body, said(v.done))
		},
	}
	i.writer(cmd)
	if v.reason != "" {
		cmd.Flags().StringVar(&reason, "reason", "", v.reason)
	}
	return cmd
}

// parseWhen reads a time: in full, or of today (UTC).
func parseWhen(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			day := time.Now().UTC().Truncate(24 * time.Hour)
			return day.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second), nil
		}
	}
	return time.Time{}, usageError{fmt.Errorf("time %q is not like 03:15, 2026-10-14 03:15 or 2026-10-14T03:15:00Z; times are UTC", text)}
}

func newIncidentNote() *cobra.Command {
	var i incidents
	var when, clock, link string
	cmd := &cobra.Command{
		Use:   "note ID TEXT...",
		Short: "Put a note on the timeline, and set one of its clocks with it",
		Args:  usage(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := parseWhen(when)
			if err != nil {
				return err
			}
			body := map[string]any{"text": strings.Join(args[1:], " "), "clock": clock, "link": link}
			if !at.IsZero() {
				body["when"] = at
			}
			return i.post(cmd, i.path(args[0], "note"), body, said("noted"))
		},
	}
	i.writer(cmd)
	cmd.Flags().StringVar(&when, "at", "", "when it happened, if not now; UTC")
	cmd.Flags().StringVar(&clock, "clock", "", "what it marks: impact-start, alert, acknowledged, escalated, cause-known, decision, first-action, partial, restored, resolved, stable")
	cmd.Flags().StringVar(&link, "link", "", "where more is to be seen")
	return cmd
}

func newIncidentDeclare() *cobra.Command {
	var i incidents
	var severity int
	var since string
	cmd := &cobra.Command{
		Use:   "declare TITLE...",
		Short: "Open an incident by hand",
		Args:  usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			started, err := parseWhen(since)
			if err != nil {
				return err
			}
			body := map[string]any{"title": strings.Join(args, " "), "severity": severity}
			if !started.IsZero() {
				body["started"] = started
			}
			return i.post(cmd, strings.Replace(i.path("", ""), "incidents/", "incidents", 1), body, func(answer map[string]any) string {
				return fmt.Sprint("opened ", answer["id"])
			})
		},
	}
	i.writer(cmd)
	cmd.Flags().IntVar(&severity, "severity", 0, "1 to 5; by rule when left out")
	cmd.Flags().StringVar(&since, "since", "", "when the impact began, if not now; UTC")
	return cmd
}

func newIncidentChange() *cobra.Command {
	var i incidents
	var when, link string
	cmd := &cobra.Command{
		Use:   "change TEXT...",
		Short: "Mark a change elsewhere, such as a deployment: incidents of the week after name it",
		Args:  usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := parseWhen(when)
			if err != nil {
				return err
			}
			body := map[string]any{"text": strings.Join(args, " "), "link": link}
			if !at.IsZero() {
				body["when"] = at
			}
			return i.post(cmd, strings.Replace(i.path("", ""), "incidents/", "changes", 1), body, said("marked"))
		},
	}
	i.writer(cmd)
	cmd.Flags().StringVar(&when, "at", "", "when it was made, if not now; UTC")
	cmd.Flags().StringVar(&link, "link", "", "where more is to be seen")
	return cmd
}

func newIncidentImpact() *cobra.Command {
	var i incidents
	var parts []string
	var affected, active float64
	cmd := &cobra.Command{
		Use:   "impact ID",
		Short: "Declare an impact that Spillway could not measure",
		Example: "  spillway incident impact last --part 100%,03:15,03:33 --part 50%,03:33,03:36\n" +
			"  spillway incident impact last --users 2000 --active 2000",
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := impactBody(parts, affected, active)
			if err != nil {
				return err
			}
			return i.post(cmd, i.path(args[0], "impact"), body, said("declared"))
		},
	}
	i.writer(cmd)
	cmd.Flags().StringArrayVar(&parts, "part", nil, "how much went wrong from when to when: 100%,03:15,03:33 (UTC)")
	cmd.Flags().Float64Var(&affected, "users", 0, "users affected")
	cmd.Flags().Float64Var(&active, "active", 0, "users active at that time")
	return cmd
}

func impactBody(parts []string, affected, active float64) (map[string]any, error) {
	body := map[string]any{}
	var segments []map[string]any
	for _, part := range parts {
		fields := strings.Split(part, ",")
		if len(fields) != 3 || !strings.HasSuffix(fields[0], "%") {
			return nil, usageError{fmt.Errorf("part %q is not like 100%%,03:15,03:33", part)}
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(fields[0], "%"), 64)
		if err != nil {
			return nil, usageError{fmt.Errorf("part %q is not like 100%%,03:15,03:33", part)}
		}
		from, err := parseWhen(fields[1])
		if err != nil {
			return nil, err
		}
		to, err := parseWhen(fields[2])
		if err != nil {
			return nil, err
		}
		segments = append(segments, map[string]any{"from": from, "to": to, "affected": percent / 100})
	}
	if len(segments) > 0 {
		body["segments"] = segments
	}
	if affected > 0 || active > 0 {
		body["users"] = map[string]any{"affected": affected, "active": active}
	}
	return body, nil
}

func newIncidentItem() *cobra.Command {
	var i incidents
	var n int
	var kind, owner, due, ticket string
	var done bool
	cmd := &cobra.Command{
		Use:   "item ID TEXT...",
		Short: "Add an action item, or change the one that --n names",
		Args:  usage(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"n": n, "text": strings.Join(args[1:], " "), "type": kind, "owner": owner, "due": due, "ticket": ticket, "done": done}
			return i.post(cmd, i.path(args[0], "items"), body, func(answer map[string]any) string { return fmt.Sprint("action item ", answer["n"]) })
		},
	}
	i.writer(cmd)
	cmd.Flags().IntVar(&n, "n", 0, "number of the item to change")
	cmd.Flags().StringVar(&kind, "type", "", "prevent, detect, mitigate or process")
	cmd.Flags().StringVar(&owner, "owner", "", "who does it")
	cmd.Flags().StringVar(&due, "due", "", "until when: 2026-11-30")
	cmd.Flags().StringVar(&ticket, "ticket", "", "where it is tracked")
	cmd.Flags().BoolVar(&done, "done", false, "it is done")
	return cmd
}
