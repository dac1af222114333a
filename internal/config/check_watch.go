package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (k *checker) checkWatch() {
	w := &k.c.Watch
	k.ordered("watch.slots_warn", "watch.slots_page", float64(w.SlotsWarn), float64(w.SlotsPage))
	k.ordered("watch.wait_warn", "watch.wait_page", float64(w.WaitWarn), float64(w.WaitPage))
	k.ordered("watch.forecast_page", "watch.forecast_warn", float64(w.ForecastPage), float64(w.ForecastWarn))
	k.ordered("watch.blocked_warn", "watch.blocked_page", float64(w.BlockedWarn), float64(w.BlockedPage))
	k.ordered("watch.lag_warn", "watch.lag_page", float64(w.LagWarn), float64(w.LagPage))
	for _, name := range sortedKeys(k.c.Targets) {
		k.checkTarget(join("targets", name), k.c.Targets[name])
	}
	for _, name := range sortedKeys(k.c.SLO) {
		k.checkSLO(join("slo", name), k.c.SLO[name])
	}
}

// ordered reports bounds of which the one that comes first is not the smaller.
func (k *checker) ordered(first, second string, a, b float64) {
	if a <= 0 {
		k.fail(first, complaint{what: fmt.Sprintf("%s is not above 0", first), why: "everything would be a finding", mend: "leave it out for its default"})
	}
	if a > b {
		k.fail(k.nearer(first, second), complaint{what: fmt.Sprintf("%s is above %s", first, second), why: "the one that comes first must be the smaller", mend: "leave both out for their defaults"})
	}
}

// Bounds of a target's times.
const (
	leastTargetEvery = time.Second
	mostTargetEvery  = time.Hour
)

func (k *checker) checkTarget(path string, t *Target) {
	u, err := url.Parse(t.URL)
	switch {
	case k.broken(join(path, "url")):
	case err != nil || !slices.Contains([]string{"http", "https", "tcp"}, u.Scheme) || u.Host == "":
		k.fail(join(path, "url"), complaint{what: "url is not one of http, https or tcp", mend: "url: http://10.0.0.5:8080/healthz, or tcp://10.0.0.5:5432"})
	case u.Scheme == "tcp":
		if _, port, err := net.SplitHostPort(u.Host); err != nil || port == "" {
			k.fail(join(path, "url"), complaint{what: "a tcp url needs a port", mend: "url: tcp://10.0.0.5:5432"})
		}
	}
	if t.Every < leastTargetEvery || t.Every > mostTargetEvery {
		k.fail(join(path, "every"), complaint{what: fmt.Sprintf("every is not between %v and %v", leastTargetEvery, mostTargetEvery), mend: "every: 5s"})
	}
	if t.Timeout <= 0 || t.Timeout > time.Minute {
		k.fail(join(path, "timeout"), complaint{what: "timeout is not between 0 and 1m", mend: "timeout: 2s"})
	}
	if t.Status != 0 && (t.Status < 100 || t.Status > 599) {
		k.fail(join(path, "status"), complaint{what: fmt.Sprintf("%d is no HTTP status", t.Status), mend: "status: 200"})
	}
}

// longestWindow is what the counts of an objective are kept for.
const longestWindow = 30 * 24 * time.Hour

func (k *checker) checkSLO(path string, s *SLO) {
	number, isPercent := strings.CutSuffix(strings.TrimSpace(s.Objective), "%")
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if isPercent {
		value /= 100
	}
	if err != nil || !(value > 0 && value < 1) {
		k.fail(join(path, "objective"), complaint{what: fmt.Sprintf("objective %q is not between 0%% and 100%%", s.Objective), why: "at 100% there is no error budget", mend: "objective: 99.9%"})
	}
	s.ratio = value
	for _, name := range s.Workloads {
		if k.c.Workloads[name] == nil {
			k.fail(join(path, "workloads"), complaint{what: fmt.Sprintf("there is no workload %s", quoteKey(name)), mend: "name one of workloads, or leave it out for all"})
		}
	}
	if s.Wait <= 0 {
		k.fail(join(path, "wait"), complaint{what: "wait is not above 0", mend: "wait: 1s"})
	}
	if s.Window < time.Hour || s.Window > longestWindow {
		k.fail(join(path, "window"), complaint{what: "window is not between 1h and 720h", why: "counts are kept for 30 days", mend: "window: 720h"})
	}
}
