package web

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/proxy"
)

// workloadCollector is the workloads' part of /metrics.
type workloadCollector struct {
	config                                                        Config
	share, limit, inUse, lent, borrowed, waiting, oldest, leaking metric
	clients, paused, shed                                         metric
}

func newWorkloadCollector(c Config) *workloadCollector {
	of := []string{"upstream", "workload"}
	return &workloadCollector{
		config:   c,
		share:    gauge("workload_share", "Server connections guaranteed to the workload.", of...),
		limit:    gauge("workload_limit", "Most server connections of the workload, 0 when there is no limit.", of...),
		inUse:    gauge("workload_in_use", "Server connections the workload holds.", of...),
		lent:     gauge("workload_lent", "Of its share, what others use now.", of...),
		borrowed: gauge("workload_borrowed", "Server connections it holds beyond its share.", of...),
		waiting:  gauge("workload_waiting", "Clients of the workload that wait for a server connection.", of...),
		oldest:   gauge("workload_oldest_wait_seconds", "How long the longest of them has waited.", of...),
		clients:  gauge("workload_clients", "Clients of the workload.", of...),
		leaking:  gauge("workload_leaking", "Clients that keep a server connection idle for longer than leak_after.", of...),
		paused:   gauge("workload_paused", "1 while new transactions of the workload are refused or queued.", of...),
		shed:     counter("workload_shed_total", "Clients refused at once because the workload's queue was full or too slow.", of...),
	}
}

func (c *workloadCollector) all() []metric {
	return []metric{c.share, c.limit, c.inUse, c.lent, c.borrowed, c.waiting, c.oldest, c.clients, c.leaking, c.paused, c.shed}
}

// Describe implements prometheus.Collector.
func (c *workloadCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.all() {
		ch <- m.Desc
	}
}

// Collect implements prometheus.Collector.
func (c *workloadCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), factsTimeout)
	defer cancel()
	workloads, err := c.config.Facts.Workloads(ctx)
	if err != nil {
		return // facts_up says so
	}
	s := &sample{ch}
	for _, w := range workloads {
		c.send(s, w)
	}
}

func (c *workloadCollector) send(s *sample, w proxy.WorkloadStat) {
	for m, value := range map[metric]float64{
		c.share: float64(w.Share), c.limit: float64(w.Limit), c.inUse: float64(w.InUse), c.lent: float64(w.Lent), c.borrowed: float64(w.Borrowed),
		c.waiting: float64(w.Waiting), c.oldest: w.OldestWait.Seconds(), c.clients: float64(w.Clients), c.leaking: float64(w.Leaking),
		c.paused: truth(w.Pause != ""), c.shed: float64(w.Shed),
	} {
		s.send(m, value, w.Upstream, w.Name)
	}
}
