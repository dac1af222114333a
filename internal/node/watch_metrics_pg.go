package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/sample"
)

// postgresCollector shows what the servers say of themselves. A probe that
// cannot run takes its metrics with it: they are withdrawn, not repeated.
type postgresCollector struct {
	desk                                                    *watchDesk
	up, connections, longest, blocked, lag, lagBytes        *prometheus.Desc
	wal, checkpoints, autovacuums, xmin, wraparound, locked *prometheus.Desc
	dead, live, bytes, slotKept, target, targetTook         *prometheus.Desc
}

func newPostgresCollector(d *watchDesk) *postgresCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("spillway_postgres_"+name, help, append([]string{"upstream"}, labels...), nil)
	}
	return &postgresCollector{
		desk:        d,
		up:          desc("up", "1 while every probe of the server works."),
		connections: desc("connections", "Client connections, of Spillway and of others, by state.", "state"),
		longest:     desc("longest_transaction_seconds", "Age of the oldest transaction of a client."),
		blocked:     desc("blocked_backends", "Backends that wait for a lock."),
		lag:         desc("replica_lag_seconds", "How far a replica is behind in replaying.", "replica"),
		lagBytes:    desc("replica_lag_bytes", "WAL that a replica has not replayed.", "replica"),
		slotKept:    desc("slot_kept_bytes", "WAL that a replication slot keeps.", "slot"),
		wal:         desc("wal_bytes_total", "WAL written."),
		checkpoints: desc("checkpoints_total", "Checkpoints, by what brought them about.", "cause"),
		autovacuums: desc("autovacuum_workers", "Autovacuum workers that run."),
		xmin:        desc("oldest_xmin_age", "Age in transactions of the oldest snapshot: vacuum cannot clean what is younger."),
		wraparound:  desc("wraparound_age", "Age in transactions of the oldest datfrozenxid."),
		locked:      desc("deadlocks_total", "Deadlocks."),
		dead:        desc("table_dead_rows", "Dead rows of the tables that are looked at.", "database", "table"),
		live:        desc("table_live_rows", "Live rows of them.", "database", "table"),
		bytes:       desc("table_bytes", "Size of them, as of the last vacuum or analyze.", "database", "table"),
		target:      prometheus.NewDesc("spillway_target_up", "1 while the target answers as it should.", []string{"target", "group"}, nil),
		targetTook:  prometheus.NewDesc("spillway_target_seconds", "How long the target took to answer.", []string{"target", "group"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *postgresCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.connections, c.longest, c.blocked, c.lag, c.lagBytes, c.slotKept, c.wal, c.checkpoints,
		c.autovacuums, c.xmin, c.wraparound, c.locked, c.dead, c.live, c.bytes, c.target, c.targetTook} {
		out <- d
	}
}

// sink sends metrics; what a label cannot hold is dropped, not the scrape.
type sink chan<- prometheus.Metric

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	if m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, v, labels...); err == nil {
		s <- m
	}
}

func (s sink) counter(d *prometheus.Desc, v float64, labels ...string) {
	if m, err := prometheus.NewConstMetric(d, prometheus.CounterValue, v, labels...); err == nil {
		s <- m
	}
}

// Collect implements prometheus.Collector.
func (c *postgresCollector) Collect(out chan<- prometheus.Metric) {
	s, f := sink(out), c.desk.frameNow()
	if f == nil {
		return
	}
	up := map[string]bool{}
	for _, p := range f.Probes {
		if p.Server == "" || p.Tried.IsZero() {
			continue
		}
		was, known := up[p.Server]
		up[p.Server] = p.Up && (was || !known)
	}
	for name, ok := range up {
		s.gauge(c.up, truth(ok), name)
	}
	for name, p := range f.Postgres {
		if p != nil {
			c.server(s, name, p)
		}
	}
	for _, t := range f.Targets {
		s.gauge(c.target, truth(t.Up), t.Name, t.Group)
		if t.Up {
			s.gauge(c.targetTook, t.Took.Seconds(), t.Name, t.Group)
		}
	}
}

func (c *postgresCollector) server(s sink, name string, p *sample.Postgres) {
	if a := p.Activity; a != nil {
		states := map[string]int{}
		for _, g := range a.Groups {
			if g.State == "" {
				g.State = "unknown"
			}
			states[g.State] += g.Count
		}
		for state, n := range states {
			s.gauge(c.connections, float64(n), name, state)
		}
		s.gauge(c.longest, longest(a).Seconds(), name)
		s.gauge(c.blocked, float64(len(a.Blocked)), name)
	}
	if r := p.Replicas; r != nil {
		c.replication(s, name, r)
	}
	if v := p.Vitals; v != nil {
		s.counter(c.wal, v.WALBytes, name)
		s.counter(c.checkpoints, v.CheckpointsTimed, name, "time")
		s.counter(c.checkpoints, v.CheckpointsAsked, name, "request")
		s.gauge(c.autovacuums, float64(v.Autovacuums), name)
		s.gauge(c.xmin, float64(v.OldestXmin), name)
		s.gauge(c.wraparound, float64(v.WraparoundAge), name)
		s.counter(c.locked, v.Deadlocks, name)
	}
	if p.Tables != nil {
		for i := range p.Tables.Items {
			t := &p.Tables.Items[i]
			s.gauge(c.dead, t.Dead, name, t.Database, t.Name)
			s.gauge(c.live, t.Live, name, t.Database, t.Name)
			s.gauge(c.bytes, t.Bytes, name, t.Database, t.Name)
		}
	}
}

func (c *postgresCollector) replication(s sink, name string, r *sample.Replication) {
	if r.Replica {
		s.gauge(c.lag, r.Behind.Seconds(), name, "itself")
	}
	seen := map[string]bool{}
	for i := range r.Replicas {
		one := &r.Replicas[i]
		label := one.Application + "@" + one.Addr
		if seen[label] {
			continue
		}
		seen[label] = true
		s.gauge(c.lag, one.Lag.Seconds(), name, label)
		s.gauge(c.lagBytes, one.LagBytes, name, label)
	}
	for _, slot := range r.Slots {
		s.gauge(c.slotKept, slot.KeptBytes, name, slot.Name)
	}
}
