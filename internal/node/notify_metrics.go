package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/notify"
	"spillway/internal/notify/receive"
)

// notifyCollector shows how alarms go out and come in. It asks no endpoint.
type notifyCollector struct {
	out                                                               *notify.Desk
	in                                                                *receive.Receiver
	waiting, oldest, open, failing, sent, failed, dropped, last, came *prometheus.Desc
}

func notifyMetrics(out *notify.Desk, in *receive.Receiver) []prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("spillway_"+name, help, labels, nil)
	}
	channel := func(name, help string) *prometheus.Desc {
		return desc("notify_"+name, help, "channel", "endpoint", "kind")
	}
	return []prometheus.Collector{&notifyCollector{
		out: out, in: in,
		waiting: channel("waiting_messages", "Alarm messages that are not sent yet."),
		oldest:  channel("oldest_message_seconds", "Age of the oldest message that is not sent yet."),
		open:    channel("open_alarms", "Alarms that the endpoint knows of, or is about to."),
		failing: channel("failing", "1 while alarms cannot be sent."),
		sent:    channel("sent_total", "Messages that were taken."),
		failed:  channel("failed_total", "Attempts that failed."),
		dropped: channel("dropped_total", "Messages lost: refused, too old, or the queue was full."),
		last:    channel("last_sent_timestamp_seconds", "When a message was last taken."),
		came:    desc("alarms_received_total", "Alarms of other monitors, and requests that were refused.", "source", "result"),
	}}
}

// Describe implements prometheus.Collector.
func (c *notifyCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.waiting, c.oldest, c.open, c.failing, c.sent, c.failed, c.dropped, c.last, c.came} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *notifyCollector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.out.States() {
		put := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
			out <- prometheus.MustNewConstMetric(d, kind, v, s.Channel, s.Endpoint, s.Kind)
		}
		put(c.waiting, prometheus.GaugeValue, float64(s.Waiting))
		put(c.open, prometheus.GaugeValue, float64(s.Open))
		put(c.sent, prometheus.CounterValue, float64(s.Sent))
		put(c.failed, prometheus.CounterValue, float64(s.Failed))
		put(c.dropped, prometheus.CounterValue, float64(s.Dropped))
		failing, age := 0.0, 0.0
		if s.Failing {
			failing = 1
		}
		if s.Oldest != nil {
			age = time.Since(*s.Oldest).Seconds()
		}
		put(c.failing, prometheus.GaugeValue, failing)
		put(c.oldest, prometheus.GaugeValue, age)
		if s.LastSent != nil {
			put(c.last, prometheus.GaugeValue, float64(s.LastSent.UnixMilli())/1000)
		}
	}
	for k, n := range c.in.Counts() {
		out <- prometheus.MustNewConstMetric(c.came, prometheus.CounterValue, float64(n), k.Source, k.Result)
	}
}
