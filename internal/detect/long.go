package detect

import (
	"fmt"
	"slices"
	"time"

	"spillway/internal/sample"
)

// running is something that has been at work for long, of a client of ours or
// of the server's other connections.
type running struct {
	host, workload, application, user, addr string
	pid                                     int
	at                                      time.Time
	sql                                     string
	state                                   string
}

func ofHolder(h *sample.Holder, at time.Time) running {
	return running{h.Host, h.Workload, h.Application, h.User, h.Addr, h.PID, at, h.SQL, string(h.State)}
}

func (r *running) name(p *sample.Proxy) string {
	return who(r.application, r.workload, ownerOf(p, r.host, r.workload), []string{r.user})
}

func (r *running) line(at time.Time) string {
	return fmt.Sprintf("pid %d, %s, user %s from %s, %s for %s: %s", r.pid, orNone(r.application), r.user, r.addr, r.state, span(at.Sub(r.at)), statementText(r.sql))
}

func orNone(name string) string {
	if name == "" {
		return "no application_name"
	}
	return name
}

// lookLongStatement finds statements that run for longer than their class is
// bound to. One finding for each service.
func lookLongStatement(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	found := map[string][]running{}
	ours := map[string]map[int]bool{}
	for i := range in.Proxy.Holders {
		h := &in.Proxy.Holders[i]
		mine(ours, h)
		if h.State != sample.Runs || h.QueryAt.IsZero() || h.Replicates || in.claims.of(h.Host, h.PID) != "" {
			continue
		}
		if in.At.Sub(h.QueryAt) >= in.Bounds.statement(classOf(in.Proxy, h.Host, h.Workload)) {
			r := ofHolder(h, h.QueryAt)
			found[serviceKey(&r)] = append(found[serviceKey(&r)], r)
		}
	}
	in.foreign(ours, func(host string, b *sample.Backend) {
		if b.State == "active" && !b.QueryAt.IsZero() && in.At.Sub(b.QueryAt) >= in.Bounds.StatementBatch && !maintains(b) {
			r := ofBackend(host, b, b.QueryAt)
			found[serviceKey(&r)] = append(found[serviceKey(&r)], r)
		}
	})
	return in.longs("long-statement", "statement", found)
}

// lookLongTransaction finds transactions that are open for too long.
func lookLongTransaction(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	found := map[string][]running{}
	ours := map[string]map[int]bool{}
	for i := range in.Proxy.Holders {
		h := &in.Proxy.Holders[i]
		mine(ours, h)
		if h.TransactionAt.IsZero() || h.Replicates || in.claims.of(h.Host, h.PID) != "" {
			continue
		}
		bound := in.Bounds.Transaction
		if classOf(in.Proxy, h.Host, h.Workload) == "batch" {
			bound = max(bound, in.Bounds.StatementBatch)
		}
		if in.At.Sub(h.TransactionAt) >= bound {
			r := ofHolder(h, h.TransactionAt)
			found[serviceKey(&r)] = append(found[serviceKey(&r)], r)
			in.claims.take(h.Host, h.PID, "long-transaction")
		}
	}
	in.foreign(ours, func(host string, b *sample.Backend) {
		if !b.TransactionAt.IsZero() && in.At.Sub(b.TransactionAt) >= in.Bounds.StatementBatch && !maintains(b) {
			r := ofBackend(host, b, b.TransactionAt)
			found[serviceKey(&r)] = append(found[serviceKey(&r)], r)
			in.claims.take(host, b.PID, "long-transaction")
		}
	})
	return in.longs("long-transaction", "transaction", found)
}

func serviceKey(r *running) string { return r.host + "/" + r.workload + "/" + r.application }

func mine(ours map[string]map[int]bool, h *sample.Holder) {
	if ours[h.Host] == nil {
		ours[h.Host] = map[int]bool{}
	}
	ours[h.Host][h.PID] = true
}

// foreign calls do for the long backends that do not come through the proxy.
func (in *Input) foreign(ours map[string]map[int]bool, do func(host string, b *sample.Backend)) {
	for host, p := range in.Postgres {
		if p == nil || p.Activity == nil {
			continue
		}
		for i := range p.Activity.Long {
			if b := &p.Activity.Long[i]; !ours[host][b.PID] && in.claims.of(host, b.PID) == "" {
				do(host, b)
			}
		}
	}
}

// maintains tells backends that are meant to take long: backups, vacuum and
// what feeds replicas.
func maintains(b *sample.Backend) bool {
	return b.Kind != "client backend" || b.Application == "pg_dump" || b.Application == "pg_basebackup"
}

func ofBackend(host string, b *sample.Backend, at time.Time) running {
	return running{host: host, application: b.Application, user: b.User, addr: orLocal(b.Addr), pid: b.PID, at: at, sql: b.SQL, state: b.State}
}

func orLocal(addr string) string {
	if addr == "" {
		return "unix"
	}
	return addr
}

// longs makes one suspicion of each service.
func (in *Input) longs(kind, what string, found map[string][]running) []Suspicion {
	var list []Suspicion
	for service, all := range found {
		slices.SortFunc(all, func(a, b running) int { return a.at.Compare(b.at) })
		first := &all[0]
		s := Suspicion{Key: kind + "/" + service, Level: Warn, Upstream: first.host, Workload: first.workload, Since: first.at}
		s.Summary = fmt.Sprintf("%s of %s on %s: open since %s: %s", one(len(all), "long "+what, "long "+what+"s"), first.name(in.Proxy), first.host, clock(first.at), statementText(first.sql))
		for i := range all[:min(len(all), maxNames)] {
			s.Evidence = append(s.Evidence, all[i].line(in.At))
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Suspicion) int { return compareKeys(a, b) })
	return list
}
