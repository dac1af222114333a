package node

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/sweep"
)

// sweepCollector shows the sweeps at work in this node. It asks no database.
type sweepCollector struct {
	crew                                           *sweep.Crew
	deleted, batches, left, rate, duty, part, held *prometheus.Desc
}

func sweepMetrics(crew *sweep.Crew) []prometheus.Collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("spillway_sweep_"+name, help, []string{"server", "database", "table", "sweep"}, nil)
	}
	return []prometheus.Collector{&sweepCollector{
		crew:    crew,
		deleted: desc("deleted_rows_total", "Rows the sweep has deleted."),
		batches: desc("batches_total", "Batches the sweep has committed."),
		left:    desc("left_rows", "Doomed rows that are left, roughly."),
		rate:    desc("rows_per_second", "Rows deleted a second, over the last seconds."),
		duty:    desc("duty_ratio", "Part of the time spent in batches."),
		part:    desc("done_ratio", "Part of the way that is behind it."),
		held:    desc("braked", "1 while a brake holds or slows the sweep."),
	}}
}

// Describe implements prometheus.Collector.
func (c *sweepCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.deleted, c.batches, c.left, c.rate, c.duty, c.part, c.held} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *sweepCollector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.crew.Live() {
		labels := []string{s.Server, s.Database, s.Table, strconv.FormatInt(s.ID, 10)}
		held := 0.0
		if s.Brake != "" {
			held = 1
		}
		counter := func(d *prometheus.Desc, v float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
		}
		gauge := func(d *prometheus.Desc, v float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
		}
		counter(c.deleted, float64(s.Deleted))
		counter(c.batches, float64(s.Batches))
		gauge(c.left, s.Left)
		gauge(c.rate, s.Now)
		gauge(c.duty, s.Duty)
		gauge(c.part, s.Part)
		gauge(c.held, held)
	}
}
