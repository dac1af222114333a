package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/job"
)

// jobCollector shows the jobs as the node saw them last. It asks no database.
type jobCollector struct {
	desk                                                          *jobDesk
	held, waiting, started, ended, succeeded, lasted, rows, wrong *prometheus.Desc
	runs, watched                                                 *prometheus.Desc
}

func jobMetrics(d *jobDesk) []prometheus.Collector {
	labels := []string{"server", "database", "job"}
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc("spillway_job_"+name, help, append(labels[:len(labels):len(labels)], more...), nil)
	}
	return []prometheus.Collector{&jobCollector{
		desk:      d,
		held:      desc("running", "1 while a lease of the job is in force."),
		waiting:   desc("waiting", "Starts that wait for the job's end."),
		started:   desc("last_start_timestamp_seconds", "When the latest run began."),
		ended:     desc("last_end_timestamp_seconds", "When the latest run that has ended did."),
		succeeded: desc("last_success_timestamp_seconds", "When the latest success ended, of the last 20 runs."),
		lasted:    desc("last_duration_seconds", "How long the latest run that has ended took."),
		rows:      desc("last_rows", "Rows that the latest run that has ended reported."),
		wrong:     desc("wrong", "1 for each thing that is wrong with the job.", "kind"),
		runs:      desc("runs_total", "Runs that ended since this node looks, by how.", "how"),
		watched:   prometheus.NewDesc("spillway_jobs_watched", "1 while the database's jobs can be watched.", labels[:2], nil),
	}}
}

// Describe implements prometheus.Collector.
func (c *jobCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.held, c.waiting, c.started, c.ended, c.succeeded, c.lasted, c.rows, c.wrong, c.runs, c.watched} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *jobCollector) Collect(out chan<- prometheus.Metric) {
	looks, ended := c.desk.latest()
	for _, look := range looks {
		out <- prometheus.MustNewConstMetric(c.watched, prometheus.GaugeValue, one(!look.failed), look.server, look.database)
		for i := range look.states {
			c.collect(out, look.jobPlace, &look.states[i])
		}
	}
	for run, n := range ended {
		out <- prometheus.MustNewConstMetric(c.runs, prometheus.CounterValue, n, run.at.server, run.at.database, run.job, string(run.how))
	}
}

func (c *jobCollector) collect(out chan<- prometheus.Metric, at jobPlace, s *job.State) {
	gauge := func(d *prometheus.Desc, v float64, more ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{at.server, at.database, s.Name}, more...)...)
	}
	gauge(c.held, one(s.Held))
	gauge(c.waiting, float64(s.Waiting))
	for _, fact := range s.Facts {
		gauge(c.wrong, 1, string(fact.Kind))
	}
	if len(s.Runs) > 0 {
		gauge(c.started, float64(s.Runs[0].Began.UnixMilli())/1e3)
	}
	if r := s.Latest(func(*job.Ran) bool { return true }); r != nil {
		gauge(c.ended, float64(r.Ended.UnixMilli())/1e3)
		gauge(c.lasted, r.Ended.Sub(r.Began).Seconds())
		if r.Rows != nil {
			gauge(c.rows, float64(*r.Rows))
		}
	}
	if r := s.Latest(func(r *job.Ran) bool { return r.How == job.Done }); r != nil {
		gauge(c.succeeded, float64(r.Ended.UnixMilli())/1e3)
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
