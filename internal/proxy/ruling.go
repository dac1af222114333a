package proxy

import (
	"time"

	"spillway/internal/schedule"
	"spillway/internal/session"
)

// ruling is a policy with what the loops derive from it once.
type ruling struct {
	*Policy
	rules     session.Rules
	admins    map[string]bool
	stats     map[string]bool
	operators map[string]bool
	ignore    map[string]bool

	fallback             *Workload           // the one named default; nil = there is none
	byApplication, byTag bool                // some workload looks at these
	bans                 map[uint64]*barrier // nil: none
}

func newRuling(p *Policy) *ruling {
	r := &ruling{Policy: p, admins: setOf(p.Auth.Admins), stats: setOf(p.Auth.Stats),
		operators: setOf(p.Auth.Operators), ignore: setOf(p.Session.IgnoreStartup)}
	r.rules = session.Rules{
		Refuse:         p.Session.OnState == StateRefuse,
		TrustFunctions: p.Session.TrustFunctions,
		MaxPrepared:    p.Session.MaxPrepared,
		MaxText:        orInt(p.Limits.MaxPreparedText, 1<<20),
		Track:          p.Session.TrackParameters,
	}
	for i := range p.Workloads {
		w := &p.Workloads[i]
		if w.Name == schedule.DefaultWorkload {
			r.fallback = w
			continue
		}
		r.byApplication = r.byApplication || len(w.Match.Applications) > 0
		r.byTag = r.byTag || len(w.Match.Tags) > 0
	}
	return r
}

func setOf(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

func orInt(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

func (r *ruling) maxMessage() int { return orInt(r.Limits.MaxMessage, 1<<30) }

// database finds what a client asked for; nil when there is none.
func (r *ruling) database(name string) *Database {
	if d, ok := r.Databases[name]; ok {
		return d
	}
	return r.AnyDatabase
}

// mode is the pool mode of a user in a database.
func (r *ruling) mode(d *Database, user string) PoolMode {
	if u := r.Users[user]; u != nil && u.Mode != ModeDefault {
		return u.Mode
	}
	if d.Mode != ModeDefault {
		return d.Mode
	}
	if r.Defaults.Mode != ModeDefault {
		return r.Defaults.Mode
	}
	return ModeTransaction
}

// limits are the timeouts of one (database, user), shared by its clients.
type limits struct {
	query, transaction, idleTransaction, clientIdle, queue, notice, leak int64
	// The settings of database, user or workload that some come from; "" = the general ones.
	queryBy, transactionBy, idleBy, queueBy string
}

func (r *ruling) limits(d *Database, user string, w *Workload) *limits {
	t := &r.Timeouts
	l := limits{query: int64(t.Query), transaction: int64(t.Transaction), idleTransaction: int64(t.IdleInTransaction),
		clientIdle: int64(t.ClientIdle), queue: int64(t.Queue), notice: int64(t.QueueNotice)}
	name := "databases." + d.Name
	take(&l.query, &l.queryBy, d.QueryTimeout, name, "query_timeout")
	take(&l.queue, &l.queueBy, d.QueueTimeout, name, "queue_timeout")
	if u := r.Users[user]; u != nil {
		name = "users." + user
		take(&l.query, &l.queryBy, u.QueryTimeout, name, "query_timeout")
		take(&l.transaction, &l.transactionBy, u.TransactionTimeout, name, "transaction_timeout")
		take(&l.idleTransaction, &l.idleBy, u.IdleInTransaction, name, "idle_in_transaction")
		override(&l.clientIdle, u.ClientIdle)
		take(&l.queue, &l.queueBy, u.QueueTimeout, name, "queue_timeout")
	}
	l.workload(w)
	return &l
}

// workload puts a workload's own timeouts in force, and notes their names.
func (l *limits) workload(w *Workload) {
	if w == nil {
		return
	}
	if w.Mode != schedule.Off {
		l.leak = int64(w.LeakAfter)
	}
	if !w.enforced() {
		return
	}
	name := "workloads." + w.Name
	take(&l.query, &l.queryBy, w.StatementTimeout, name, "statement_timeout")
	take(&l.transaction, &l.transactionBy, w.TransactionTimeout, name, "transaction_timeout")
	take(&l.idleTransaction, &l.idleBy, w.IdleInTransaction, name, "idle_in_transaction_timeout")
	take(&l.queue, &l.queueBy, w.QueueTimeout, name, "queue_timeout")
}

// take sets a limit and notes its setting, unless d inherits.
func take(v *int64, by *string, d time.Duration, section, key string) {
	if d >= 0 {
		*v, *by = int64(d), section+"."+key
	}
}

func override(v *int64, d time.Duration) {
	if d >= 0 {
		*v = int64(d)
	}
}

// poolSize are the sizes of one pool.
func (r *ruling) poolSize(d *Database, user string) (size, least, reserve int) {
	size, least, reserve = r.Defaults.PoolSize, r.Defaults.MinPoolSize, r.Defaults.ReservePool
	pick := func(v *int, n int) {
		if n >= 0 {
			*v = n
		}
	}
	pick(&size, d.PoolSize)
	pick(&least, d.MinPoolSize)
	pick(&reserve, d.ReservePool)
	if u := r.Users[user]; u != nil {
		pick(&size, u.PoolSize)
		pick(&reserve, u.ReservePool)
	}
	return size, min(least, max(size, 0)), reserve
}
