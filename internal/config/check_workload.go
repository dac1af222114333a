package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// defaultWorkload takes clients that match none.
const defaultWorkload = "default"

// Ordered are the workloads' names in the file's order, default last.
func (c *Config) Ordered() []string {
	names := sortedKeys(c.Workloads)
	slices.SortFunc(names, func(a, b string) int {
		switch {
		case a == defaultWorkload:
			return 1
		case b == defaultWorkload:
			return -1
		}
		return cmp.Compare(c.Workloads[a].Order, c.Workloads[b].Order)
	})
	return names
}

func (k *checker) checkWorkloads() {
	names := k.c.Ordered()
	for i, name := range names {
		w := k.c.Workloads[name]
		k.checkMatch(name, w, names[:i])
		k.checkMatchValues(join(join("workloads", name), "leak_exempt"), &w.LeakExempt)
		k.checkBounds(name, w)
	}
	for _, server := range sortedKeys(k.c.Servers) {
		k.checkShares(server, names)
	}
}

// checkMatch refuses a workload that no client can ever be in; the names before
// it are those of workloads that are tried first.
func (k *checker) checkMatch(name string, w *Workload, before []string) {
	at := join("workloads", name)
	if name == defaultWorkload {
		if !w.Match.Empty() {
			k.fail(join(at, "match"), complaint{what: "default has a match", why: "it takes whatever matches no other", mend: "leave match out, or give the workload another name"})
		}
		return
	}
	if w.Match.Empty() {
		if !k.c.matchBroken(at) {
			k.fail(join(at, "match"), complaint{what: fmt.Sprintf("workload %s can never match: it has no match", quoteKey(name)), mend: "match: {user: " + quoteKey(name) + "}"})
		}
		return
	}
	k.checkMatchValues(join(at, "match"), &w.Match)
	for _, other := range before {
		if first := k.c.Workloads[other]; !first.Match.Empty() && first.Match.covers(&w.Match) {
			k.fail(join(at, "match"), complaint{what: fmt.Sprintf("workload %s can never match: %s before it takes all that it would", quoteKey(name), quoteKey(other)),
				mend: fmt.Sprintf("put %s first, or tell them apart", quoteKey(name))})
			return
		}
	}
}

func (c *Config) matchBroken(at string) bool {
	for _, row := range matchKeys() {
		if c.origin.spans[join(join(at, "match"), row.name)].broken {
			return true
		}
	}
	return false
}

func (k *checker) checkMatchValues(at string, m *Match) {
	globs := map[string][]string{"user": m.User, "database": m.Database, "application_name": m.ApplicationName}
	for _, name := range sortedKeys(globs) {
		for _, g := range globs[name] {
			if _, err := path.Match(g, ""); err != nil || g == "" {
				k.fail(join(at, name), complaint{what: fmt.Sprintf("%s pattern %q is not a glob", name, g), mend: "* for any letters, ? for one, [a-z] for one of several; \\ before one that stands for itself"})
			}
		}
	}
	for _, a := range m.Address {
		if _, err := ParseNetwork(a); err != nil {
			k.fail(join(at, "address"), complaint{what: fmt.Sprintf("address %q is neither an address nor a network", a), mend: "10.1.2.3, 10.0.0.0/8, 2001:db8::/32 or unix"})
		}
	}
	for _, t := range m.Tag {
		name, value, ok := strings.Cut(t, "=")
		if _, err := path.Match(value, ""); !ok || name == "" || err != nil {
			k.fail(join(at, "tag"), complaint{what: fmt.Sprintf("tag %q is not key=value", t), mend: "job=nightly, value a glob"})
		}
	}
	k.checkMatchDatabase(at, m.Database)
}

// checkMatchDatabase refuses patterns that fit no database there is.
func (k *checker) checkMatchDatabase(at string, patterns []string) {
	if len(patterns) == 0 || k.c.Databases["*"] != nil {
		return
	}
	for _, p := range patterns {
		for name := range k.c.Databases {
			if ok, _ := path.Match(p, name); ok {
				return
			}
		}
	}
	k.fail(join(at, "database"), complaint{
		what: fmt.Sprintf("no database fits %s", strings.Join(patterns, ", ")),
		why:  "the workload could never match",
		mend: "databases are " + strings.Join(sortedKeys(k.c.Databases), ", "),
	})
}

// ParseNetwork reads an address or a CIDR network; "unix" is the zero Prefix.
func ParseNetwork(text string) (netip.Prefix, error) {
	if text == "unix" {
		return netip.Prefix{}, nil
	}
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("parse address: not one")
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func (k *checker) checkBounds(name string, w *Workload) {
	at := join("workloads", name)
	if w.Limit > 0 && w.Share > w.Limit {
		k.fail(k.nearer(join(at, "share"), join(at, "limit")), complaint{
			what: fmt.Sprintf("share %d is above limit %d", w.Share, w.Limit),
			why:  "slots would be guaranteed that may not be used",
			mend: fmt.Sprintf("share: %d, or a higher limit", w.Limit),
		})
	}
	if w.Lendable > 100 {
		k.fail(join(at, "lendable"), complaint{what: fmt.Sprintf("lendable %d%% is more than everything", w.Lendable), mend: "lendable: 100%"})
	}
	if w.OnLeak != "warn" && w.LeakAfter == 0 {
		k.fail(join(at, "on_leak"), complaint{what: fmt.Sprintf("on_leak is %s and leak_after is 0", w.OnLeak), why: "leaks would not be looked for", mend: "leak_after: 30s"})
	}
}

// checkShares holds what is guaranteed and allowed against a server's budget.
func (k *checker) checkShares(server string, names []string) {
	s := k.c.Servers[server]
	if s.budget() == 0 || len(names) == 0 {
		return
	}
	total, terms := 0, make([]string, 0, len(names))
	for _, name := range names {
		w := k.c.Workloads[name]
		total += w.Share
		if w.Share > 0 && len(terms) < 20 {
			terms = append(terms, fmt.Sprintf("%d (%s)", w.Share, quoteKey(name)))
		}
		if w.Limit > s.budget() {
			k.fail(join(join("workloads", name), "limit"), complaint{
				what: fmt.Sprintf("limit %d of workload %s is above what server %s has: %s", w.Limit, quoteKey(name), quoteKey(server), s.arithmetic()),
				mend: fmt.Sprintf("limit: %d or less, or a higher max_connections", s.budget()),
			})
		}
	}
	if total > s.budget() {
		k.fail("workloads", complaint{
			what: fmt.Sprintf("shares add up to %s = %d, and server %s has %s", strings.Join(terms, " + "), total, quoteKey(server), s.arithmetic()),
			why:  "what is guaranteed to all cannot be given to all",
			mend: fmt.Sprintf("lower shares by %d, or raise max_connections", total-s.budget()),
		})
	}
}
