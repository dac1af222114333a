package main

import (
	"fmt"
	"strconv"
	"strings"

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
