package proxy

import (
	"time"

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
	query, transaction, idleTransaction, clientIdle, queue, notice int64
}

func (r *ruling) limits(d *Database, user string) *limits {
	t := &r.Timeouts
	l := limits{int64(t.Query), int64(t.Transaction), int64(t.IdleInTransaction), int64(t.ClientIdle), int64(t.Queue), int64(t.QueueNotice)}
	override(&l.query, d.QueryTimeout)
	override(&l.queue, d.QueueTimeout)
	if u := r.Users[user]; u != nil {
		override(&l.query, u.QueryTimeout)
		override(&l.transaction, u.TransactionTimeout)
		override(&l.idleTransaction, u.IdleInTransaction)
		override(&l.clientIdle, u.ClientIdle)
		override(&l.queue, u.QueueTimeout)
	}
	return &l
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
