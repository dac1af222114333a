package proxy

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"spillway/internal/statement"
	"spillway/internal/wire"
)

// Containment is how the node sees who holds what, and strikes.
type Containment interface {
	// Holders are the clients that have a server, those that have it longest
	// first. Texts of statements keep their literals only where raw is true.
	Holders(ctx context.Context, raw bool) ([]Holder, error)
	// Strike cancels or ends what targets run; see Target.
	Strike(ctx context.Context, targets []Target, s Strike) ([]Struck, error)
	// Bans are the bans in force with what they did.
	Bans() []BanStat
}

// Holder is a client that has a server, as one loop saw both at one instant.
// Times that have not begun are zero.
type Holder struct {
	Target
	Workload, Application    string
	User, Database, Upstream string
	Addr                     string // "unix" for a unix socket
	Port                     int
	Server                   uint64 // ID of the server
	State                    string // as pg_stat_activity names it
	CheckedOutAt             time.Time
	IdleAt                   time.Time // idle in transaction, or pinned, since then
	Pinned                   string    // why the server stays with the client
	Guarded                  string    // why it is left alone unless it is named; "" = it is not
	Leaking                  bool      // idle for longer than its workload allows
	Waiting                  int       // clients that wait for a server of the same pool
	Fingerprint              uint64    // of SQL; 0 = none was seen
	SQL                      string    // last statement
}

// Running reports whether a statement runs.
func (h *Holder) Running() bool { return !h.QueryAt.IsZero() }

// States of holders.
const (
	stateRunning = "active"
	stateInTxn   = "idle in transaction"
	stateAborted = "idle in transaction (aborted)"
	statePinned  = "idle"
)

// maxShown and maxRaw bound the text of a holder's statement, in bytes.
const (
	maxShown = 500
	maxRaw   = statement.MaxPrint
)

// Holders implements Containment.
func (p *Proxy) Holders(ctx context.Context, raw bool) ([]Holder, error) {
	var list []Holder
	waiting := map[*pool]int{}
	var pools []*pool // of list
	err := p.facts(ctx, func(l *loop) {
		rul := p.policy.Load()
		for c := range l.clients {
			if c.waitSince != 0 && c.pool != nil {
				waiting[c.pool]++
			}
			if c.srv != nil && c.phase == phaseServe {
				list, pools = append(list, l.holder(c, rul, raw)), append(pools, c.pool)
			}
		}
	})
	for i := range list {
		list[i].Waiting = waiting[pools[i]]
	}
	slices.SortFunc(list, func(a, b Holder) int {
		return cmp.Or(a.CheckedOutAt.Compare(b.CheckedOutAt), cmp.Compare(a.Client, b.Client))
	})
	return list, err
}

func (l *loop) holder(c *client, rul *ruling, raw bool) Holder {
	p, s := l.proxy, c.srv
	h := Holder{Target: l.target(c), Workload: c.workName(), Application: c.appNow(),
		User: c.user, Database: c.database, Upstream: c.pool.up.name, Server: s.id,
		CheckedOutAt: p.at(c.leaseAt), Pinned: c.sess.Pinned(), Leaking: c.leaking}
	h.Addr, h.Port = addrText(c)
	switch {
	case c.queryAt != 0 || !s.sess.Quiet():
		h.State = stateRunning
	case s.sess.State() == wire.InTransaction:
		h.State = stateInTxn
	case s.sess.State() == wire.Failed:
		h.State = stateAborted
	default:
		h.State = statePinned
	}
	if h.State != stateRunning {
		h.IdleAt = p.at(c.idleAt)
	}
	text := s.lastText()
	if len(text) > 0 {
		h.Fingerprint = statement.Print(text)
	}
	if raw {
		h.SQL = string(bytes.ToValidUTF8(text[:min(len(text), maxRaw)], []byte("?")))
	} else {
		h.SQL = string(statement.Redact(nil, text, true, maxShown))
	}
	h.Guarded = guarded(c, rul, h.State == stateRunning)
	return h
}

func (l *loop) target(c *client) Target {
	p, s := l.proxy, c.srv
	return Target{Client: c.id, PID: int(s.pid), BackendAt: p.at(s.openedAt), TransactionAt: p.at(c.txnAt), QueryAt: p.at(c.queryAt)}
}

// lastSQL is the statement that the server ran last, or runs. It is the loop's
// and changes with the next message.
func (s *server) lastText() []byte {
	text := s.sql
	if bound := s.sess.BoundText(); bound != "" {
		text = []byte(bound[:min(len(bound), statement.MaxPrint)])
	}
	if whole, _, ok := wire.CString(text); ok {
		return whole
	}
	return text
}

// Why holders are left alone unless somebody names them.
const (
	guardReplication = "replication"
	guardOperator    = "operator"
	guardDump        = "dump"
	guardDDL         = "ddl"
)

// guarded says why a holder is left alone by what selects many.
func guarded(c *client, rul *ruling, running bool) string {
	switch {
	case c.srv.oneWay:
		return guardReplication
	case c.operator || rul.operators[c.user]:
		return guardOperator
	case isDump(c.app):
		return guardDump
	}
	return guardOf(c.appNow(), c.srv.lastText(), running)
}

// GuardOf says why a connection is left alone by what selects many: it copies a
// database, or changes a schema; "" = it is not.
func GuardOf(application, sql string, running bool) string {
	return guardOf(application, []byte(sql), running)
}

func guardOf(application string, sql []byte, running bool) string {
	switch {
	case isDump(application):
		return guardDump
	case running && isDDL(sql):
		return guardDDL
	}
	return ""
}

// isDump knows PostgreSQL's own programs that copy a database: what they did is
// lost when they are cut off.
func isDump(application string) bool {
	switch application {
	case "pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup":
		return true
	}
	return false
}

// isDDL tells statements that change the schema, or work on a whole table for
// the database's own good: cut off they leave invalid indexes and lost hours.
func isDDL(text []byte) bool {
	var room [128]byte
	words := string(statement.Redact(room[:0], text, true, 64))
	first, _, _ := strings.Cut(words, " ")
	switch strings.TrimRight(first, ";(…") {
	case "create", "alter", "drop", "reindex", "vacuum", "analyze", "cluster", "refresh", "truncate", "comment", "grant", "revoke", "import", "security":
		return true
	}
	return false
}

// QueryGroup is what runs now of one fingerprint.
type QueryGroup struct {
	Fingerprint uint64
	Count       int       // running now
	Held        int       // of those idle in a transaction, it was the last statement
	OldestAt    time.Time // when the longest running one began
	Workloads   []string  // sorted
	Databases   []string  // sorted
	SQL         string    // without literals
}

// Queries groups holders by what they run, the most frequent first.
func Queries(holders []Holder) []QueryGroup {
	groups := map[uint64]*QueryGroup{}
	for i := range holders {
		h := &holders[i]
		if h.Fingerprint == 0 {
			continue
		}
		g := groups[h.Fingerprint]
		if g == nil {
			g = &QueryGroup{Fingerprint: h.Fingerprint, SQL: h.SQL}
			groups[h.Fingerprint] = g
		}
		g.Workloads, g.Databases = withName(g.Workloads, h.Workload), withName(g.Databases, h.Database)
		if h.State != stateRunning {
			g.Held++
			continue
		}
		g.Count++
		if g.OldestAt.IsZero() || h.QueryAt.Before(g.OldestAt) {
			g.OldestAt = h.QueryAt
		}
	}
	list := make([]QueryGroup, 0, len(groups))
	for _, g := range groups {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b QueryGroup) int {
		return cmp.Or(b.Count-a.Count, b.Held-a.Held, a.OldestAt.Compare(b.OldestAt), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return list
}

// withName adds a name to a sorted list that has each once.
func withName(list []string, name string) []string {
	at, there := slices.BinarySearch(list, name)
	if there || name == "" {
		return list
	}
	return slices.Insert(list, at, name)
}
