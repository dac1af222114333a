package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spillway/internal/record/slo"
)

func (k *checker) checkRecord() {
	r := &k.c.Record
	if r.Objective < 0 || r.Objective >= 100 {
		k.fail("record.objective", complaint{what: "the objective is not between 0 and 100 percent", mend: "objective: 99.9"})
	}
	if r.Window != 0 && r.Window < time.Hour {
		k.fail("record.window", complaint{what: "the window is shorter than an hour", mend: "window: 30d"})
	}
	if r.Sev2 > r.Sev1 || r.Sev1 > 100 {
		k.fail("record.sev2", complaint{what: fmt.Sprintf("sev2 (%d%%) is above sev1 (%d%%), or that above 100%%", r.Sev2, r.Sev1), mend: "sev1: 50%, sev2: 5%"})
	}
	if r.Replicas > 5 {
		k.fail("record.replicas", complaint{what: fmt.Sprintf("%d replicas are more than NATS keeps", r.Replicas), mend: "replicas: 3"})
	}
	if r.KeepSize != 0 && r.KeepSize < 1<<20 {
		k.fail("record.keep_size", complaint{what: "the log cannot be smaller than 1MiB", mend: "keep_size: 1GiB"})
	}
	if r.Path == "" {
		r.Path = filepath.Join(k.c.DataDir, "log")
	}
	r.hours = nil
	for _, text := range r.RevenueAt {
		h, err := slo.ParseHours(text)
		if err != nil {
			k.fail("record.revenue_hours", complaint{what: err.Error(), mend: `revenue_hours: ["mon-fri 08:00-18:00 300"]`})
			continue
		}
		r.hours = append(r.hours, h)
	}
	k.checkRecordURL()
	for _, name := range sortedKeys(k.c.SmokeChecks) {
		k.checkSmoke(join("smoke_checks", name), k.c.SmokeChecks[name])
	}
}

func (k *checker) checkRecordURL() {
	if k.c.Record.URL == "" {
		return
	}
	for one := range strings.SplitSeq(k.c.Record.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Host == "" {
			k.fail("record.url", complaint{what: "this is not the URL of a NATS server", mend: "url: nats://host:4222, several with commas"})
			return
		}
	}
}

// checkSmoke never quotes the URL: it may hold a password.
func (k *checker) checkSmoke(path string, s *SmokeCheck) {
	bad := complaint{what: "this is no http, https, tcp or postgres URL", mend: "url: http://127.0.0.1:8080/health"}
	if s.URL == "" {
		if !k.broken(join(path, "url")) {
			k.fail(path, complaint{what: "the smoke check has no url", mend: bad.mend})
		}
		return
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "tcp", "postgres", "postgresql"}, u.Scheme) {
		k.fail(join(path, "url"), bad)
		return
	}
	if _, _, err := net.SplitHostPort(u.Host); u.Scheme == "tcp" && err != nil {
		k.fail(join(path, "url"), complaint{what: "a tcp URL needs a port", mend: "url: tcp://host:6379"})
	}
	if s.Timeout <= 0 || s.Timeout > time.Minute {
		k.fail(join(path, "timeout"), complaint{what: "the timeout is not between 0 and 1m", mend: "timeout: 5s"})
	}
}
