package main

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completeWithin is how long a shell may wait for a node's answer to Tab.
const completeWithin = time.Second

// named is a list of the API with the field that an argument names.
type named struct{ list, field string }

// completions are the commands whose first argument a running node knows.
func completions() map[string]named {
	workload, incident, sweep := named{"workloads", "name"}, named{"incidents", "id"}, named{"sweeps", "id"}
	all := map[string]named{
		"pause": workload, "resume": workload, "limit": workload,
		"ban": {"queries", "fingerprint"}, "unban": {"bans", "fingerprint"},
		"undo": {"actions", "id"}, "actions": {"actions", "id"},
		"sweep pause": sweep, "sweep resume": sweep, "sweep cancel": sweep,
		"job forget": {"jobs", "name"}, "notify test": {"notify", "channel"},
	}
	for _, verb := range []string{"ack", "commander", "escalate", "impact", "item", "join", "note", "reopen", "report", "resolve", "severity", "show"} {
		all["incident "+verb] = incident
	}
	return all
}

// offer has the shell complete those arguments.
func offer(root *cobra.Command) {
	all := completions()
	for _, cmd := range root.Commands() {
		for _, one := range append(cmd.Commands(), cmd) {
			what, is := all[strings.TrimPrefix(one.CommandPath(), root.Name()+" ")]
			if !is {
				continue
			}
			one.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				if len(args) > 0 {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				return what.known(cmd), cobra.ShellCompDirectiveNoFileComp
			}
		}
	}
}

// known asks the node that the command's flags name. Without one, or where it
// does not answer in time, there is nothing to offer: Tab is no place for errors.
func (n named) known(cmd *cobra.Command) []string {
	text := func(flag string) string { value, _ := cmd.Flags().GetString(flag); return value } // "" where there is no such flag
	a := asking{socket: text("socket"), config: text("config"), address: text("address"), tokenFile: text("token-file")}
	running, err := a.node()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	var answer struct{ Items []map[string]any }
	if err := running.Call(ctx, http.MethodGet, n.list, nil, &answer); err != nil {
		return nil
	}
	var names []string
	for _, item := range answer.Items {
		switch value := item[n.field].(type) {
		case string:
			names = append(names, value)
		case float64:
			names = append(names, strconv.FormatFloat(value, 'f', -1, 64))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
