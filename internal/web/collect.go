package web

import (
	"context"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"spillway/internal/proxy"
)

const namespace = "spillway_"

// metric is one family: its value comes from a snapshot at each scrape, so
// nothing is counted twice and nothing is counted when nobody asks.
type metric struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, text string, labels ...string) metric {
	return metric{prometheus.NewDesc(namespace+name, text, labels, nil), prometheus.GaugeValue}
}

func counter(name, text string, labels ...string) metric {
	return metric{prometheus.NewDesc(namespace+name, text, labels, nil), prometheus.CounterValue}
}

// collector turns the proxy's snapshots into metrics. When a snapshot cannot be
// had its metrics are absent and spillway_facts_up is 0: an old number would
// look like a healthy one.
type collector struct {
	config Config
	pools  poolMetrics
	rest   processMetrics
}

func newCollector(c Config) *collector {
	return &collector{config: c, pools: newPoolMetrics(), rest: newProcessMetrics()}
}

// Describe sends every family's description.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range append(c.pools.all(), c.rest.all()...) {
		ch <- d
	}
}

// Collect reads the snapshots, each on its own, and sends what it got.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), factsTimeout)
	defer cancel()
	s := sample{sink: ch}
	facts := c.readFacts(ctx)
	c.pools.collect(&s, facts)
	c.rest.collect(&s, facts)
	c.collectProcess(&s, facts)
}

// factSet is what one scrape read; a nil part could not be read.
type factSet struct {
	pools     []proxy.PoolStat
	databases []proxy.DatabaseStat
	users     []proxy.UserStat
	upstreams []proxy.UpstreamStat
	gauges    *proxy.Gauges
	complete  bool
}

func (c *collector) readFacts(ctx context.Context) factSet {
	var (
		set    factSet
		all    sync.WaitGroup
		errs   [5]error
		gauges proxy.Gauges
	)
	all.Go(func() { set.pools, errs[0] = c.config.Facts.Pools(ctx) })
	all.Go(func() { set.databases, errs[1] = c.config.Facts.Databases(ctx) })
	all.Go(func() { set.users, errs[2] = c.config.Facts.UserStats(ctx) })
	all.Go(func() { set.upstreams, errs[3] = c.config.Facts.Upstreams(ctx) })
	all.Go(func() { gauges, errs[4] = c.config.Facts.Gauges(ctx) })
	all.Wait()
	set.complete = true
	for i, forget := range []func(){
		func() { set.pools = nil }, func() { set.databases = nil }, func() { set.users = nil }, func() { set.upstreams = nil },
	} {
		if errs[i] != nil {
			set.complete = false
			forget()
		}
	}
	if errs[4] == nil {
		set.gauges = &gauges
	}
	set.complete = set.complete && set.gauges != nil
	return set
}

// collectProcess sends what needs no event loop.
func (c *collector) collectProcess(s *sample, facts factSet) {
	at, err := c.config.Control.LastReload()
	driver := ""
	if facts.gauges != nil {
		driver = facts.gauges.Driver
	}
	s.send(c.rest.factsUp, truth(facts.complete))
	s.send(c.rest.loopsAlive, truth(c.config.Health.Alive()))
	s.send(c.rest.serving, truth(c.config.Health.Serving()))
	s.send(c.rest.reloadOK, truth(err == nil))
	if !at.IsZero() {
		s.send(c.rest.reloadAt, float64(at.UnixMilli())/1e3)
	}
	s.send(c.rest.build, 1, c.config.Build.Version, c.config.Build.Revision, runtime.Version(), driver)
}

// sample sends metrics of one scrape.
type sample struct {
	sink chan<- prometheus.Metric
}

// send drops a metric whose labels are not UTF-8 rather than fail the scrape:
// users' and databases' names come from clients.
func (s *sample) send(m metric, value float64, labels ...string) {
	made, err := prometheus.NewConstMetric(m.Desc, m.kind, value, labels...)
	if err == nil {
		s.sink <- made
	}
}

// histogram sends h with one bucket for each doubling: the proxy's are four
// times finer, more than a time series each is worth.
func (s *sample) histogram(d *prometheus.Desc, h *proxy.Histogram, labels ...string) {
	bounds := proxy.HistogramBounds()
	buckets := make(map[float64]uint64, len(bounds)/subBuckets+1)
	var seen uint64
	for i, bound := range bounds {
		seen += h.Counts[i]
		if i%subBuckets == 0 {
			buckets[bound] = seen
		}
	}
	seen += h.Counts[len(bounds)]
	made, err := prometheus.NewConstHistogram(d, seen, float64(h.SumNanos)/1e9, buckets, labels...)
	if err == nil {
		s.sink <- made
	}
}

// subBuckets is how many of the proxy's buckets make one doubling.
const subBuckets = 4

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
