package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/act"
)

// actCollector counts actions and shows what stands.
type actCollector struct {
	desk                                       *actDesk
	ended, standing, banned, running, banLimit *prometheus.Desc
}

func actMetrics(d *actDesk) []prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("spillway_"+name, help, labels, nil)
	}
	return []prometheus.Collector{&actCollector{
		desk:     d,
		ended:    desc("actions_total", "Actions of people and rules since the start, by how they ended: applied, failed or refused.", "action", "result"),
		standing: desc("actions_standing", "Pauses, limits and bans in force.", "action"),
		banned:   desc("ban_refused_total", "Statements that a ban refused.", "fingerprint"),
		running:  desc("ban_running", "Statements that run under a cap.", "fingerprint"),
		banLimit: desc("ban_max", "How many may run at once; 0 is none.", "fingerprint"),
	}}
}

// Describe implements prometheus.Collector.
func (c *actCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.ended, c.standing, c.banned, c.running, c.banLimit} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *actCollector) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	for count, n := range c.desk.room.Counts() {
		send(c.ended, prometheus.CounterValue, float64(n), string(count.Kind), count.Result)
	}
	s := c.desk.room.Standing()
	send(c.standing, prometheus.GaugeValue, float64(len(s.Pauses)), string(act.Pause))
	send(c.standing, prometheus.GaugeValue, float64(len(s.Limits)), string(act.Limit))
	send(c.standing, prometheus.GaugeValue, float64(len(s.Bans)), string(act.Ban))
	for _, b := range c.desk.hot.Bans() {
		print := printText(b.Fingerprint)
		send(c.banned, prometheus.CounterValue, float64(b.Refused), print)
		send(c.running, prometheus.GaugeValue, float64(b.Running), print)
		send(c.banLimit, prometheus.GaugeValue, float64(b.Max), print)
	}
}
