package node

import (
	"time"

	"spillway/internal/sample"
)

// numbers are what the flight recorder keeps of a frame: names are paths with
// what they are of first ("host/main/held").
type numbers struct {
	before *sample.Frame
	values map[string]float64
}

// numbersOf reads a frame; rates and latencies are those since the frame
// before.
func numbersOf(f, before *sample.Frame) map[string]float64 {
	n := &numbers{before: before, values: make(map[string]float64, 64)}
	if f.Proxy != nil {
		n.proxy(f)
	}
	for name, p := range f.Postgres {
		n.postgres("postgres/"+name+"/", p)
	}
	if m := f.Machine; m != nil {
		n.set("machine/", "cpu_ratio", m.CPU)
		n.set("machine/", "own_cpus", m.Own)
		n.set("machine/", "memory_free_bytes", m.MemoryFree)
		n.set("machine/", "own_memory_bytes", m.OwnMemory)
		n.set("machine/", "load", m.Load)
	}
	if len(f.Targets) > 0 {
		healthy := 0
		for _, t := range f.Targets {
			if t.Up {
				healthy++
				n.set("target/"+t.Name+"/", "seconds", t.Took.Seconds())
			}
		}
		n.set("targets/", "healthy", float64(healthy))
		n.set("targets/", "all", float64(len(f.Targets)))
	}
	return n.values
}

func (n *numbers) set(of, name string, v float64) { n.values[of+name] = v }

func (n *numbers) proxy(f *sample.Frame) {
	var old *sample.Proxy
	if n.before != nil {
		old = n.before.Proxy
	}
	for i := range f.Proxy.Hosts {
		h := &f.Proxy.Hosts[i]
		of := "host/" + h.Name + "/"
		n.set(of, "held", float64(h.Busy))
		n.set(of, "open", float64(h.Open))
		n.set(of, "usable", float64(h.Usable))
		n.set(of, "waiting", float64(h.Waiting))
		n.set(of, "oldest_wait_seconds", h.OldestWait.Seconds())
		n.set(of, "foreign", float64(h.Foreign))
	}
	idle := map[string]int{}
	for i := range f.Proxy.Holders {
		if h := &f.Proxy.Holders[i]; h.State != sample.Runs {
			idle[h.Host]++
		}
	}
	for i := range f.Proxy.Hosts {
		n.set("host/"+f.Proxy.Hosts[i].Name+"/", "idle_in_transaction", float64(idle[f.Proxy.Hosts[i].Name]))
	}
	for i := range f.Proxy.Workloads {
		n.workload(&f.Proxy.Workloads[i], f.Proxy, old)
	}
}

func (n *numbers) workload(w *sample.Workload, now, old *sample.Proxy) {
	name := w.Name
	if name == "" {
		name = "none"
	}
	of := "workload/" + w.Host + "/" + name + "/"
	if w.Name != "" {
		n.set(of, "held", float64(w.InUse))
		n.set(of, "waiting", float64(w.Waiting))
		n.set(of, "oldest_wait_seconds", w.OldestWait.Seconds())
		n.set(of, "leaking", float64(w.Leaking))
	}
	was := countOf(old, w)
	if was == nil || !old.At.Before(now.At) || w.Count.Transactions < was.Transactions {
		return
	}
	span := now.At.Sub(old.At).Seconds()
	n.set(of, "transactions_per_second", float64(w.Count.Transactions-was.Transactions)/span)
	n.set(of, "failed_per_second", float64(w.Count.Failed-was.Failed)/span)
	if took := w.Count.Transaction.Since(was.Transaction); took.Total() > 0 {
		n.set(of, "p50_seconds", took.Quantile(0.5))
		n.set(of, "p95_seconds", took.Quantile(0.95))
		n.set(of, "p99_seconds", took.Quantile(0.99))
	}
	if waits := w.Count.Wait.Since(was.Wait); waits.Total() > 0 {
		n.set(of, "wait_p95_seconds", waits.Quantile(0.95))
	}
}

func countOf(p *sample.Proxy, like *sample.Workload) *sample.Count {
	if p == nil {
		return nil
	}
	for i := range p.Workloads {
		if w := &p.Workloads[i]; w.Host == like.Host && w.Name == like.Name {
			return &w.Count
		}
	}
	return nil
}

func (n *numbers) postgres(of string, p *sample.Postgres) {
	if p == nil {
		return
	}
	if a := p.Activity; a != nil {
		n.set(of, "connections", float64(a.Total))
		n.set(of, "blocked", float64(len(a.Blocked)))
		states := map[string]int{}
		for _, g := range a.Groups {
			states[g.State] += g.Count
		}
		n.set(of, "active", float64(states["active"]))
		n.set(of, "idle_in_transaction", float64(states["idle in transaction"]+states["idle in transaction (aborted)"]))
		n.set(of, "longest_transaction_seconds", longest(a).Seconds())
	}
	if r := p.Replicas; r != nil {
		lag, bytes := r.Behind, 0.0
		for i := range r.Replicas {
			lag, bytes = max(lag, r.Replicas[i].Lag), max(bytes, r.Replicas[i].LagBytes)
		}
		n.set(of, "lag_seconds", lag.Seconds())
		n.set(of, "lag_bytes", bytes)
	}
	if v := p.Vitals; v != nil {
		n.set(of, "wal_bytes", v.WALBytes)
		n.set(of, "autovacuums", float64(v.Autovacuums))
		n.set(of, "oldest_xmin_age", float64(v.OldestXmin))
		n.set(of, "deadlocks", v.Deadlocks)
	}
	if p.Tables != nil {
		dead := 0.0
		for i := range p.Tables.Items {
			dead += p.Tables.Items[i].Dead
		}
		n.set(of, "dead_rows", dead)
	}
}

// longest is the age of the oldest transaction of a client.
func longest(a *sample.Activity) time.Duration {
	var age time.Duration
	for i := range a.Long {
		if b := &a.Long[i]; b.Kind == "client backend" && !b.TransactionAt.IsZero() {
			age = max(age, a.At.Sub(b.TransactionAt))
		}
	}
	return age
}
