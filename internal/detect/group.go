package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"spillway/internal/sample"
)

// Group is the holders of one service on one host.
type Group struct {
	Host, Workload, Owner string
	Application           string
	Users, Addresses      []string // sorted, at most maxNames
	Holders               int
	Idle                  int // of these, idle in a transaction
	Share                 float64
	OldestAt              time.Time
	SQL                   string // the most frequent statement, without literals
	Fingerprint           uint64
	members               []*sample.Holder
}

// maxNames bounds a list of names in a sentence.
const maxNames = 5

// groupsOf puts a host's holders together by workload and application, the
// largest first. Operators are left out: their slots are their own.
func groupsOf(p *sample.Proxy, host string) []*Group {
	type key struct{ workload, application string }
	byKey := map[key]*Group{}
	var list []*Group
	total := 0
	for i := range p.Holders {
		h := &p.Holders[i]
		if h.Host != host || h.Operator {
			continue
		}
		total++
		k := key{h.Workload, h.Application}
		g := byKey[k]
		if g == nil {
			g = &Group{Host: host, Workload: h.Workload, Application: h.Application, Owner: ownerOf(p, host, h.Workload), OldestAt: h.CheckedOutAt}
			byKey[k] = g
			list = append(list, g)
		}
		g.add(h)
	}
	for _, g := range list {
		g.Share = float64(g.Holders) / float64(total)
		g.SQL, g.Fingerprint = commonest(g.members)
	}
	slices.SortFunc(list, func(a, b *Group) int {
		return cmp.Or(b.Holders-a.Holders, strings.Compare(a.Workload, b.Workload), strings.Compare(a.Application, b.Application))
	})
	return list
}

func (g *Group) add(h *sample.Holder) {
	g.members = append(g.members, h)
	g.Holders++
	if h.State == sample.Idles || h.State == sample.Aborted {
		g.Idle++
	}
	if h.CheckedOutAt.Before(g.OldestAt) {
		g.OldestAt = h.CheckedOutAt
	}
	g.Users, g.Addresses = withName(g.Users, h.User), withName(g.Addresses, h.Addr)
}

func ownerOf(p *sample.Proxy, host, workload string) string {
	if workload == "" {
		return ""
	}
	for i := range p.Workloads {
		if w := &p.Workloads[i]; w.Host == host && w.Name == workload {
			return w.Owner
		}
	}
	return ""
}

func workloadOf(p *sample.Proxy, host, name string) *sample.Workload {
	for i := range p.Workloads {
		if w := &p.Workloads[i]; w.Host == host && w.Name == name {
			return w
		}
	}
	return nil
}

func hostOf(p *sample.Proxy, name string) *sample.Host {
	for i := range p.Hosts {
		if p.Hosts[i].Name == name {
			return &p.Hosts[i]
		}
	}
	return nil
}

// withName adds a name to a sorted list that has each once.
func withName(list []string, name string) []string {
	at, there := slices.BinarySearch(list, name)
	if there || name == "" || len(list) >= maxNames {
		return list
	}
	return slices.Insert(list, at, name)
}

// commonest is the statement most of them have run last.
func commonest(members []*sample.Holder) (sql string, fingerprint uint64) {
	count := map[uint64]int{}
	best := 0
	for _, h := range members {
		if h.Fingerprint == 0 {
			continue
		}
		count[h.Fingerprint]++
		if n := count[h.Fingerprint]; n > best || n == best && h.Fingerprint < fingerprint {
			best, sql, fingerprint = n, h.SQL, h.Fingerprint
		}
	}
	return sql, fingerprint
}

// Name says who the group is: its application, workload and owner.
func (g *Group) Name() string { return who(g.Application, g.Workload, g.Owner, g.Users) }

// who names a service as people do. A workload called default says nothing.
func who(application, workload, owner string, users []string) string {
	name := application
	if name == "" && len(users) > 0 {
		name = "user " + users[0]
	}
	var more []string
	switch {
	case name == "" && workload != "":
		name = "workload " + workload
	case workload != "":
		more = append(more, "workload "+workload)
	}
	if owner != "" {
		more = append(more, "owner "+owner)
	}
	if name == "" {
		name = "an unnamed client"
	}
	if len(more) > 0 {
		name += " (" + strings.Join(more, ", ") + ")"
	}
	return name
}

// statementText is how a statement stands in a sentence.
func statementText(sql string) string {
	const most = 120
	sql = strings.Join(strings.Fields(sql), " ")
	if sql == "" {
		return "not seen"
	}
	if r := []rune(sql); len(r) > most {
		sql = string(r[:most-1]) + "…"
	}
	return sql
}

// span says a duration as people do.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(d, 0).Milliseconds())
	case d < 10*time.Second:
		return strings.Replace(fmt.Sprintf("%.1f s", d.Seconds()), ".0 ", " ", 1)
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func size(bytes float64) string {
	for _, u := range []struct {
		unit string
		n    float64
	}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}} {
		if bytes >= u.n {
			return fmt.Sprintf("%.1f %s", bytes/u.n, u.unit)
		}
	}
	return fmt.Sprintf("%.0f bytes", bytes)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

func percent(ratio float64) string { return fmt.Sprintf("%.0f %%", ratio*100) }

// one is the singular for 1.
func one(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return fmt.Sprintf("%d %s", n, plural)
}

func list(names []string) string {
	if len(names) == maxNames {
		return strings.Join(names, ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
