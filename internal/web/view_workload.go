package web

import (
	"time"

	"spillway/internal/proxy"
)

// workload is a workload on one server. Timeouts are null where the general
// one holds.
type workload struct {
	Upstream    string   `json:"upstream"`
	Name        string   `json:"name"`
	Class       string   `json:"class"`
	Mode        string   `json:"mode"`
	Share       int      `json:"share"`
	Limit       int      `json:"limit"`
	InUse       int      `json:"in_use"`
	Lent        int      `json:"lent"`
	Borrowed    int      `json:"borrowed"`
	Waiting     int      `json:"waiting"`
	OldestWait  float64  `json:"oldest_wait_seconds"`
	Clients     int      `json:"clients"`
	Leaking     int      `json:"leaking"`
	Shed        uint64   `json:"shed"`
	WouldShed   uint64   `json:"would_shed"`
	WouldWait   uint64   `json:"would_wait"`
	Pause       string   `json:"pause,omitempty"`
	Note        string   `json:"note,omitempty"`
	Queue       *float64 `json:"queue_timeout_seconds"`
	Statement   *float64 `json:"statement_timeout_seconds"`
	Transaction *float64 `json:"transaction_timeout_seconds"`
	Idle        *float64 `json:"idle_in_transaction_timeout_seconds"`
	LeakAfter   float64  `json:"leak_after_seconds"`
	OnLeak      string   `json:"on_leak"`
}

func workloadView(w proxy.WorkloadStat) workload {
	return workload{
		Upstream: w.Upstream, Name: w.Name, Class: w.Class, Mode: w.Mode, Share: w.Share, Limit: w.Limit, InUse: w.InUse,
		Lent: w.Lent, Borrowed: w.Borrowed, Waiting: w.Waiting, OldestWait: w.OldestWait.Seconds(), Clients: w.Clients, Leaking: w.Leaking,
		Shed: w.Shed, WouldShed: w.WouldShed, WouldWait: w.WouldWait, Pause: w.Pause, Note: w.Note,
		Queue: timeout(w.QueueTimeout), Statement: timeout(w.Statement), Transaction: timeout(w.Transaction), Idle: timeout(w.IdleInTx),
		LeakAfter: w.LeakAfter.Seconds(), OnLeak: w.OnLeak,
	}
}

// timeout is null for one that is inherited.
func timeout(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}
