package node

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/record"
	"spillway/internal/record/incident"
)

// recordCollector shows how the log is and what is open. It asks no disk.
type recordCollector struct {
	room                      *record.Record
	up, waiting, lost, opened *prometheus.Desc
}

func recordMetrics(room *record.Record) []prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("spillway_"+name, help, labels, nil)
	}
	return []prometheus.Collector{&recordCollector{
		room:    room,
		up:      desc("record_up", "1 while the log of events is open and can be written."),
		waiting: desc("record_waiting_entries", "Entries in memory that are not in the log yet."),
		lost:    desc("record_lost_events_total", "Events that found no room in memory while the log was away."),
		opened:  desc("incidents", "Incidents that are not resolved, by status and severity.", "status", "severity"),
	}}
}

// Describe implements prometheus.Collector.
func (c *recordCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.waiting, c.lost, c.opened} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *recordCollector) Collect(out chan<- prometheus.Metric) {
	s := c.room.State()
	up := 0.0
	if s.Open && s.Problem == "" {
		up = 1
	}
	out <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up)
	out <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(s.Waiting))
	out <- prometheus.MustNewConstMetric(c.lost, prometheus.CounterValue, float64(s.Lost))
	type class struct {
		status   incident.Status
		severity int
	}
	counts := map[class]int{}
	for severity := 1; severity <= 3; severity++ { // those that usually occur are there with 0
		counts[class{incident.Open, severity}] = 0
		counts[class{incident.IsRestored, severity}] = 0
	}
	for _, i := range c.room.List() {
		if i.Status != incident.IsResolved {
			counts[class{i.Status, i.Severity}]++
		}
	}
	for k, n := range counts {
		out <- prometheus.MustNewConstMetric(c.opened, prometheus.GaugeValue, float64(n), string(k.status), strconv.Itoa(k.severity))
	}
}
