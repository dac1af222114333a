package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/detect"
)

// watchCollector shows findings, probes, forecasts and budgets. Labels hold
// names of the config and of detectors, never statements or what clients call
// themselves.
type watchCollector struct {
	desk                                                               *watchDesk
	findings, probeUp, probeGood, probeTook                            *prometheus.Desc
	full, slope, busy, usable                                          *prometheus.Desc
	target, burn, used, good, bad, healthy, cpu, own, memory, memTotal *prometheus.Desc
}

func newWatchCollector(d *watchDesk) *watchCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("spillway_"+name, help, labels, nil)
	}
	return &watchCollector{
		desk:      d,
		findings:  desc("findings", "Findings that stand.", "detector", "level", "upstream", "workload"),
		healthy:   desc("healthy", "1 while no finding stands."),
		probeUp:   desc("probe_up", "1 when the probe's last run worked; its values are withdrawn otherwise.", "probe"),
		probeGood: desc("probe_last_good_timestamp_seconds", "When the probe last worked.", "probe"),
		probeTook: desc("probe_duration_seconds", "How long its last run took.", "probe"),
		busy:      desc("slots_held", "Slots that clients hold.", "upstream"),
		usable:    desc("slots_usable", "Slots that all pools share.", "upstream"),
		slope:     desc("slots_slope_per_second", "How fast held slots grow: the smaller of the slopes over one and five minutes. Absent while they do not.", "upstream"),
		full:      desc("slots_full_seconds", "Time until all slots are held, if they go on growing like this. Absent while they do not.", "upstream"),
		target:    desc("slo_target_ratio", "Part of the transactions that is to be good.", "objective"),
		good:      desc("slo_transactions_total", "Transactions that the objective counts.", "objective"),
		bad:       desc("slo_bad_transactions_total", "Of these, those that waited or took too long, or failed by Spillway's doing.", "objective"),
		burn:      desc("slo_burn_rate", "How many times too fast the error budget goes, over a window.", "objective", "window"),
		used:      desc("slo_budget_used_ratio", "Part of the error budget that is used, as far as this node has seen the window.", "objective"),
		cpu:       desc("machine_cpu_ratio", "Part of this machine's CPUs that is busy."),
		own:       desc("machine_own_cpus", "CPUs that Spillway uses."),
		memory:    desc("machine_memory_available_bytes", "Memory that can be had without swapping."),
		memTotal:  desc("machine_memory_bytes", "Memory of this machine."),
	}
}

// Describe implements prometheus.Collector.
func (c *watchCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.findings, c.healthy, c.probeUp, c.probeGood, c.probeTook, c.busy, c.usable, c.slope, c.full,
		c.target, c.good, c.bad, c.burn, c.used, c.cpu, c.own, c.memory, c.memTotal} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *watchCollector) Collect(out chan<- prometheus.Metric) {
	s := sink(out)
	d := c.desk
	v := d.judged()
	s.gauge(c.healthy, truth(v.Level == detect.None && !v.At.IsZero()))
	type key struct{ detector, level, upstream, workload string }
	count := map[key]float64{}
	for _, f := range v.Findings {
		count[key{f.Detector, f.Level.String(), f.Upstream, f.Workload}]++
	}
	for k, n := range count {
		s.gauge(c.findings, n, k.detector, k.level, k.upstream, k.workload)
	}
	for _, h := range v.Hosts {
		s.gauge(c.busy, float64(h.Busy), h.Name)
		s.gauge(c.usable, float64(h.Usable), h.Name)
		if h.Forecast != nil {
			s.gauge(c.slope, h.Forecast.PerMinute/60, h.Name)
			s.gauge(c.full, h.Forecast.Full.Seconds(), h.Name)
		}
	}
	for _, p := range d.probeStats() {
		s.gauge(c.probeUp, truth(p.Up), p.Name)
		if !p.GoodAt.IsZero() {
			s.gauge(c.probeGood, float64(p.GoodAt.UnixMilli())/1e3, p.Name)
		}
		if p.Up {
			s.gauge(c.probeTook, p.Took.Seconds(), p.Name)
		}
	}
	d.mu.Lock()
	frame, budgets := d.frame, d.engine.Budgets()
	d.mu.Unlock()
	for _, b := range budgets {
		s.gauge(c.target, b.Objective.Target, b.Objective.Name)
		s.counter(c.good, b.TotalAll, b.Objective.Name)
		s.counter(c.bad, b.TotalBad, b.Objective.Name)
		s.gauge(c.used, b.Used, b.Objective.Name)
		for window, rate := range b.Burns {
			s.gauge(c.burn, rate, b.Objective.Name, window)
		}
	}
	if frame != nil && frame.Machine != nil {
		m := frame.Machine
		s.gauge(c.cpu, m.CPU)
		s.gauge(c.own, m.Own)
		s.gauge(c.memory, m.MemoryFree)
		s.gauge(c.memTotal, m.MemoryTotal)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
