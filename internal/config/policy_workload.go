package config

import (
	"slices"
	"strings"

	"spillway/internal/proxy"
	"spillway/internal/schedule"
)

// workloads are in the order in which they are tried.
func (c *Config) workloads() []proxy.Workload {
	list := make([]proxy.Workload, 0, len(c.Workloads))
	for _, name := range c.Ordered() {
		w := c.Workloads[name]
		list = append(list, proxy.Workload{
			Name: name, Match: w.Match.proxy(), Class: workloadClass(w.Class), Mode: workloadMode(w.Mode),
			Share: w.Share, Limit: w.Limit, Lendable: float64(w.Lendable) / 100, Borrow: float64(w.Borrow) / 100, QueueMax: w.QueueMax,
			QueueTimeout: w.QueueTimeout, StatementTimeout: w.StatementTimeout,
			TransactionTimeout: w.TransactionTimeout, IdleInTransaction: w.IdleInTransaction,
			LeakAfter: w.LeakAfter, OnLeak: leakRule(w.OnLeak), LeakExempt: w.LeakExempt.proxy(),
		})
	}
	return list
}

func (m *Match) proxy() proxy.Match {
	out := proxy.Match{Users: slices.Clone(m.User), Databases: slices.Clone(m.Database), Applications: slices.Clone(m.ApplicationName)}
	for _, text := range m.Address {
		if network, err := ParseNetwork(text); err == nil { // it was checked before
			out.Addresses = append(out.Addresses, network)
		}
	}
	for _, text := range m.Tag {
		key, value, _ := strings.Cut(text, "=")
		out.Tags = append(out.Tags, proxy.TagMatch{Key: key, Value: value})
	}
	return out
}

func workloadClass(word string) schedule.Class {
	return meant(word, map[string]schedule.Class{"critical": schedule.Critical, "batch": schedule.Batch}, schedule.Normal)
}

func workloadMode(word string) schedule.Mode {
	return meant(word, map[string]schedule.Mode{"off": schedule.Off, "warn": schedule.Warn}, schedule.Enforce)
}

func leakRule(word string) proxy.LeakRule {
	return meant(word, map[string]proxy.LeakRule{"cap": proxy.LeakCap, "reclaim": proxy.LeakReclaim}, proxy.LeakWarn)
}

// meant is what a word of the config stands for; words were checked before, so
// one that is not listed is the default's.
func meant[T any](word string, listed map[string]T, otherwise T) T {
	if value, is := listed[word]; is {
		return value
	}
	return otherwise
}
