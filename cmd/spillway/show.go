package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node/remote"
)

// row is one item of the API's answer.
type row map[string]any

// view is one reading command: which facts, which rows of them, which columns.
type view struct {
	use, facts, short string
	keep              func(row) bool // nil keeps all
	columns           []column
}

// views are the commands that show what a node knows. The JSON of -o json is the
// API's own, with the same rows.
func views() []view {
	return []view{
		{"pools", "pools", "The servers of each (database, user), and who waits for one", nil, []column{
			{"DATABASE", "database", text}, {"USER", "user", text}, {"MODE", "mode", text},
			{"ACTIVE", "clients.active", text}, {"WAITING", "clients.waiting", text}, {"OLDEST WAIT", "oldest_wait_seconds", seconds},
			{"SERVERS ACTIVE", "servers.active", text}, {"IDLE", "servers.idle", text}, {"USED", "servers.used", text}, {"LOGIN", "servers.login", text},
			{"P99 WAIT", "latency.wait.p99_seconds", seconds}, {"PAUSED", "paused", text}, {"LAST LOGIN ERROR", "last_login_error", text},
		}},
		{"clients", "clients", "Every client", nil, []column{
			{"ID", "id", text}, {"USER", "user", text}, {"DATABASE", "database", text}, {"STATE", "state", text},
			{"APPLICATION", "application_name", text}, {"ADDRESS", "addr", text}, {"PORT", "port", text},
			{"CONNECTED", "connected_at", age}, {"WAIT", "wait_seconds", seconds}, {"SERVER", "link", text}, {"PINNED", "pinned", text}, {"TLS", "tls", text},
		}},
		{"servers", "servers", "Every connection to PostgreSQL", nil, []column{
			{"ID", "id", text}, {"UPSTREAM", "upstream", text}, {"DATABASE", "database", text}, {"USER", "user", text}, {"STATE", "state", text},
			{"PID", "remote_pid", text}, {"CONNECTED", "connected_at", age}, {"REQUEST", "requested_at", age}, {"CLIENT", "link", text},
			{"PREPARED", "prepared_statements", text}, {"CLOSE", "close_needed", text},
		}},
		{"holders", "holders", "Who has a server now, and for how long", nil, []column{
			{"CLIENT", "client", text}, {"WORKLOAD", "workload", text}, {"APPLICATION", "application_name", text}, {"USER", "user", text}, {"DATABASE", "database", text},
			{"ADDRESS", "addr", text}, {"PID", "server_pid", text}, {"STATE", "state", text}, {"HELD", "checked_out_at", age}, {"TRANSACTION", "transaction_at", age},
			{"STATEMENT", "query_at", age}, {"PINNED", "pinned", text}, {"LEAKING", "leaking", text}, {"WAITING", "waiting_behind", text},
			{"FINGERPRINT", "fingerprint", text}, {"SQL", "sql", text},
		}},
		{"queries", "queries", "What runs now, by fingerprint: the statement that runs most often comes first", nil, []column{
			{"FINGERPRINT", "fingerprint", text}, {"RUNNING", "running", text}, {"HELD", "held", text}, {"OLDEST", "oldest_at", age},
			{"WORKLOADS", "workloads", text}, {"DATABASES", "databases", text}, {"SQL", "sql", text},
		}},
		{"bans", "bans", "Statements that may not run, or not often, and how many were refused", nil, []column{
			{"FINGERPRINT", "fingerprint", text}, {"MAX", "max", text}, {"RUNNING", "running", text}, {"REFUSED", "refused", text},
		}},
		{"workloads", "workloads", "Every workload on every server: its bounds, and what it uses", nil, []column{
			{"WORKLOAD", "name", text}, {"UPSTREAM", "upstream", text}, {"CLASS", "class", text}, {"MODE", "mode", text}, {"SHARE", "share", text},
			{"LIMIT", "limit", text}, {"IN USE", "in_use", text}, {"LENT", "lent", text}, {"BORROWED", "borrowed", text}, {"WAITING", "waiting", text},
			{"OLDEST WAIT", "oldest_wait_seconds", seconds}, {"CLIENTS", "clients", text}, {"LEAKING", "leaking", text}, {"SHED", "shed", text}, {"PAUSED", "pause", text}, {"NOTE", "note", text},
		}},
		{"databases", "databases", "The databases clients may ask for", nil, []column{
			{"NAME", "name", text}, {"HOST", "host", text}, {"PORT", "port", text}, {"DBNAME", "dbname", text}, {"MODE", "mode", text},
			{"POOL SIZE", "pool_size", text}, {"SERVERS", "servers", text}, {"CLIENTS", "clients", text}, {"PAUSED", "paused", text}, {"DISABLED", "disabled", text},
		}},
		{"upstreams", "upstreams", "Each PostgreSQL with its budget of slots", nil, []column{
			{"NAME", "name", text}, {"ADDRESS", "address", text}, {"VERSION", "server_version", text}, {"USED", "used", text}, {"USABLE", "usable", text},
			{"WAITING", "waiting", text}, {"OLDEST WAIT", "oldest_wait_seconds", seconds}, {"UP", "up", text}, {"BREAKER", "breaker", text}, {"REASON", "breaker_reason", text},
			{"OPERATOR SLOTS", "operator_slots", text}, {"FILLED", "operator_servers", text}, {"CALM", "calm", text}, {"LOGINS FREE", "logins_free", text},
		}},
	}
}

func newShow(v view) *cobra.Command {
	var a asking
	var raw bool
	cmd := &cobra.Command{
		Use:   v.use,
		Short: v.short,
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if raw {
				v.facts += "?sql=1"
			}
			return a.ask(cmd, func(ctx context.Context, running *remote.Client) error {
				return v.show(ctx, cmd, running, a.json())
			})
		},
	}
	a.flags(cmd)
	if v.use == "holders" {
		cmd.Flags().BoolVar(&raw, "sql", false, "show statements as they were sent, with their literals; for operators")
	}
	return cmd
}

func (v *view) show(ctx context.Context, cmd *cobra.Command, running *remote.Client, asJSON bool) error {
	facts, err := running.Facts(ctx, v.facts)
	if err != nil {
		return err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(facts.Items, &items); err != nil {
		return fmt.Errorf("read %s: the node's answer is not as expected: %w", v.facts, err)
	}
	rows := make([]row, 0, len(items))
	kept := make([]json.RawMessage, 0, len(items))
	for _, item := range items {
		var r row
		if err := json.Unmarshal(item, &r); err != nil {
			return fmt.Errorf("read %s: the node's answer is not as expected: %w", v.facts, err)
		}
		if v.keep == nil || v.keep(r) {
			rows, kept = append(rows, r), append(kept, item)
		}
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
			At    time.Time         `json:"at"`
			Items []json.RawMessage `json:"items"`
		}{facts.At, kept})
	}
	return printTable(cmd.OutOrStdout(), v.columns, rows, facts.At)
}

func statusFields() []column {
	return []column{
		{"state", "state", text}, {"version", "version", text}, {"driver", "driver", text}, {"loops", "loops", text}, {"up for", "started_at", age},
		{"config read", "reloaded_at", age}, {"last reload failed", "reload_failed", text}, {"listeners", "listeners", text},
		{"clients", "used_clients", text}, {"logging in", "login_clients", text}, {"servers used", "used_servers", text}, {"servers free", "free_servers", text},
		{"pools", "pools", text}, {"databases", "databases", text},
	}
}
