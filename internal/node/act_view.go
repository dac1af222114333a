package node

import (
	"slices"
	"strings"
	"time"

	"spillway/internal/proxy"
)

// The JSON of the API about holders. Times are RFC 3339.

type holderRow struct {
	Client      uint64    `json:"client"`
	Workload    string    `json:"workload,omitempty"`
	Application string    `json:"application_name,omitempty"`
	User        string    `json:"user"`
	Database    string    `json:"database"`
	Upstream    string    `json:"upstream"`
	Addr        string    `json:"addr"`
	Port        int       `json:"port,omitempty"`
	Server      uint64    `json:"server"`
	PID         int       `json:"server_pid"`
	State       string    `json:"state"`
	CheckedOut  time.Time `json:"checked_out_at,omitzero"`
	Transaction time.Time `json:"transaction_at,omitzero"`
	Query       time.Time `json:"query_at,omitzero"`
	Idle        time.Time `json:"idle_at,omitzero"`
	Pinned      string    `json:"pinned,omitempty"`
	Leaking     bool      `json:"leaking,omitempty"`
	Guarded     string    `json:"guarded,omitempty"`
	Waiting     int       `json:"waiting_behind"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	SQL         string    `json:"sql,omitempty"`
}

func holdersView(list []proxy.Holder) []holderRow {
	rows := make([]holderRow, len(list))
	for i := range list {
		h := &list[i]
		rows[i] = holderRow{
			Client: h.Client, Workload: h.Workload, Application: h.Application, User: h.User, Database: h.Database, Upstream: h.Upstream,
			Addr: h.Addr, Port: h.Port, Server: h.Server, PID: h.PID, State: h.State, CheckedOut: h.CheckedOutAt, Transaction: h.TransactionAt,
			Query: h.QueryAt, Idle: h.IdleAt, Pinned: h.Pinned, Leaking: h.Leaking, Guarded: h.Guarded, Waiting: h.Waiting,
			Fingerprint: printText(h.Fingerprint), SQL: h.SQL,
		}
	}
	return rows
}

type queryRow struct {
	Fingerprint string    `json:"fingerprint"`
	Running     int       `json:"running"`
	Held        int       `json:"held"` // idle in a transaction, and it was the last statement
	Oldest      time.Time `json:"oldest_at,omitzero"`
	Workloads   []string  `json:"workloads"`
	Databases   []string  `json:"databases"`
	SQL         string    `json:"sql"`
}

func queriesView(groups []proxy.QueryGroup) []queryRow {
	rows := make([]queryRow, len(groups))
	for i, g := range groups {
		rows[i] = queryRow{printText(g.Fingerprint), g.Count, g.Held, g.OldestAt, orEmpty(g.Workloads), orEmpty(g.Databases), g.SQL}
	}
	return rows
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

type banRow struct {
	Fingerprint string `json:"fingerprint"`
	Max         int    `json:"max"`
	Running     int    `json:"running"`
	Refused     uint64 `json:"refused"`
}

func bansView(bans []proxy.BanStat) []banRow {
	rows := make([]banRow, len(bans))
	for i, b := range bans {
		rows[i] = banRow{printText(b.Fingerprint), b.Max, b.Running, b.Refused}
	}
	slices.SortFunc(rows, func(x, y banRow) int { return strings.Compare(x.Fingerprint, y.Fingerprint) })
	return rows
}
