package detect

import (
	"fmt"
	"slices"
	"time"

	"spillway/internal/sample"
)

// lookReplica finds replicas that are behind, in time or in bytes.
func lookReplica(in *Input) []Suspicion {
	var found []Suspicion
	for host, p := range in.Postgres {
		if p == nil || p.Replicas == nil {
			continue
		}
		r := p.Replicas
		if r.Replica {
			if s, ok := in.lag("replica-lag/"+host, host+" is a replica and", r.Behind, 0); ok {
				s.Upstream = host
				found = append(found, s)
			}
		}
		for i := range r.Replicas {
			one := &r.Replicas[i]
			name := one.Application
			if name == "" || name == "walreceiver" {
				name = one.Addr
			}
			s, ok := in.lag("replica-lag/"+host+"/"+name, "replica "+name+" of "+host, one.Lag, one.LagBytes)
			if !ok || one.State != "streaming" && one.State != "catchup" {
				continue
			}
			s.Upstream = host
			s.Evidence = append(s.Evidence, fmt.Sprintf("state %s, %s, address %s", one.State, one.Sync, orLocal(one.Addr)))
			found = append(found, s)
		}
	}
	slices.SortFunc(found, compareKeys)
	return found
}

func (in *Input) lag(key, name string, lag time.Duration, bytes float64) (Suspicion, bool) {
	begin := in.Bounds.LagWarn
	if in.held(key) != None {
		begin /= 2
	}
	if lag < begin && bytes < in.Bounds.LagBytes {
		return Suspicion{}, false
	}
	s := Suspicion{Key: key, Level: Warn, Summary: fmt.Sprintf("%s is %s behind", name, span(lag))}
	if bytes > 0 {
		s.Summary += " (" + size(bytes) + ")"
	}
	if lag >= in.Bounds.LagPage {
		s.Level = Page
	}
	s.Evidence = []string{fmt.Sprintf("lag %s, %s to be replayed", span(lag), size(bytes))}
	return s, true
}

// lookTables finds tables whose dead rows grow faster than they are cleaned:
// more of them than TableDead of the live rows, and no less than at the begin of
// the window.
func lookTables(in *Input) []Suspicion {
	var found []Suspicion
	for host, p := range in.Postgres {
		if p == nil || p.Tables == nil {
			continue
		}
		for i := range p.Tables.Items {
			t := &p.Tables.Items[i]
			if s, ok := in.table(host, t); ok {
				found = append(found, s)
			}
		}
	}
	slices.SortFunc(found, compareKeys)
	return found
}

func (in *Input) table(host string, t *sample.Table) (Suspicion, bool) {
	key := "table-growth/" + host + "/" + t.Database + "." + t.Name
	k := in.marks.table(key, t, in.At)
	bound := max(in.Bounds.TableRows, in.Bounds.TableDead*t.Live, 2*t.DeadBound)
	if in.held(key) != None {
		bound *= 0.8
	}
	if t.Dead < bound {
		return Suspicion{}, false
	}
	first, ok := k.before(in.At, in.Bounds.TableWindow)
	if in.held(key) == None && (!ok || t.Dead < first.dead) {
		return Suspicion{}, false
	}
	s := Suspicion{Key: key, Level: Warn, Upstream: host}
	rate := ""
	if ok {
		if minutes := in.At.Sub(first.at).Minutes(); minutes > 0 {
			rate = fmt.Sprintf(", %+.0f a minute", (t.Dead-first.dead)/minutes)
		}
	}
	s.Summary = fmt.Sprintf("table %s of %s on %s grows faster than it is cleaned: %.0f dead rows beside %.0f live ones%s", t.Name, t.Database, host, t.Dead, t.Live, rate)
	cleaned := "never vacuumed since the statistics were reset"
	if !t.VacuumedAt.IsZero() {
		cleaned = "last vacuumed at " + t.VacuumedAt.UTC().Format(time.RFC3339)
	}
	s.Evidence = []string{
		fmt.Sprintf("autovacuum comes at %.0f dead rows; %s, %.0f times", t.DeadBound, cleaned, t.VacuumRuns),
		fmt.Sprintf("since the statistics were reset: %.0f inserted, %.0f updated, %.0f deleted; size %s", t.Inserted, t.Updated, t.Deleted, size(t.Bytes)),
	}
	if v := in.Postgres[host].Vitals; v != nil && v.OldestXmin > 100_000 {
		s.Evidence = append(s.Evidence, fmt.Sprintf("the oldest snapshot is %d transactions old (%s): vacuum cannot remove what it may still see", v.OldestXmin, v.OldestXminOf))
	}
	return s, true
}

// maxTables bounds what is remembered of tables.
const maxTables = 500

// tableMark is the course of one table's dead rows.
type tableMark struct{ points []tablePoint }

type tablePoint struct {
	at   time.Time
	dead float64
}

// table remembers a reading.
func (m *marks) table(key string, t *sample.Table, at time.Time) *tableMark {
	k := m.tables[key]
	if k == nil {
		k = &tableMark{}
		if len(m.tables) < maxTables {
			m.tables[key] = k
		}
	}
	if n := len(k.points); n == 0 || at.Sub(k.points[n-1].at) >= 30*time.Second {
		k.points = append(k.points, tablePoint{at: at, dead: t.Dead})
		if len(k.points) > 120 {
			k.points = k.points[1:]
		}
	}
	return k
}

// before is the reading at the begin of the window; not ok when it goes not
// that far back.
func (k *tableMark) before(at time.Time, window time.Duration) (tablePoint, bool) {
	for i := len(k.points) - 1; i >= 0; i-- {
		if at.Sub(k.points[i].at) >= window {
			return k.points[i], true
		}
	}
	return tablePoint{}, false
}
