package proxy

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"spillway/internal/auth"
	"spillway/internal/schedule"
	"spillway/internal/session"
	"spillway/internal/wire"
)

// poolKey names a pool: what clients say, and the role the servers have.
type poolKey struct {
	database, user string
	operator       bool // its servers fill operator slots
}

// pool is the servers of one (database, user). Its schedule side is shared by
// the loops under the host's lock; the counters are each loop's own.
type pool struct {
	key      poolKey
	up       *upstream
	sched    *schedule.Pool
	dbname   string // on the server
	role     string // on the server
	database atomic.Pointer[Database]
	welcome  atomic.Pointer[welcome]
	creds    atomic.Pointer[credentials]
	failure  atomic.Pointer[loginFailure]
	known    known
	clients  atomic.Int64
	byLoop   []poolStats
	paused   atomic.Bool
	disabled atomic.Bool
}

// welcome is what a server reported at login: what clients are told at theirs.
type welcome struct {
	params []wire.Param
	base   session.Settings // in params, without application_name
}

// credentials are what logs in to the server as the pool's role.
type credentials struct {
	secret auth.Secret
	keys   *auth.SCRAMKeys // from the client's own SCRAM login
}

type loginFailure struct {
	report wire.Report
	at     time.Time
}

// poolStats are one loop's counters of a pool; only that loop touches them.
type poolStats struct {
	Counters
	wait, transaction, query Histogram
	refused                  [reasonCount]uint64
	leaks, lentBack          uint64
}

// upstream is one PostgreSQL with its budget.
type upstream struct {
	name    string
	host    *schedule.Host
	conf    atomic.Pointer[Upstream]
	hosts   hostChoice
	version atomic.Int64 // major version its servers last reported; 0 = none yet
	asked   atomic.Pointer[census]
	closed  obituary
	failure atomic.Pointer[loginFailure] // the last time it could not be reached
	mended  atomic.Uint64                // drift that the ledger has mended
	fused   atomic.Uint64                // connections the fuse has kept from being opened
	sockets atomic.Int64                 // connections open or being opened, whoever believes what
}

// registry holds the upstreams and pools all loops share.
type registry struct {
	proxy *Proxy
	list  atomic.Pointer[[]*upstream] // what hosts returns; immutable

	mu        sync.RWMutex // guards the maps; never held while a host's lock is taken by others
	upstreams map[string]*upstream
	pools     map[poolKey]*pool
	bySched   map[*schedule.Pool]*pool // also of removed pools, until their last server is gone
	caps      map[string]*schedule.Cap
	fits      map[string]uint64
	startups  map[uint64][]wire.Param
}

func newRegistry(p *Proxy) *registry {
	return &registry{proxy: p, upstreams: map[string]*upstream{}, pools: map[poolKey]*pool{}, bySched: map[*schedule.Pool]*pool{},
		caps: map[string]*schedule.Cap{}, fits: map[string]uint64{}, startups: map[uint64][]wire.Param{}}
}

func (r *registry) hostConfig(rul *ruling, up *upstream, u *Upstream) schedule.HostConfig {
	operators, kept := len(rul.operators) > 0, 0
	if operators {
		kept = u.OperatorSlots
	}
	return schedule.HostConfig{
		Usable: up.budget(u, operators), Operator: kept, FailFast: true, Loops: max(r.proxy.cfg.Loops, 1),
		Workloads: schedules(rul.Workloads, rul.Timeouts.Queue),
		Connect:   schedule.Pace{Parallel: orInt(u.ConnectPace, 4), PerSecond: orFloat(u.ConnectRate, unpaced), Burst: orInt(u.ConnectBurst, 10)},
	}
}

// unpaced is a rate no login waits for: connect_rate 0 means no limit.
const unpaced = 1e6

func orFloat(f, otherwise float64) float64 {
	if f > 0 {
		return f
	}
	return otherwise
}

// apply brings upstreams and pools to a new policy.
func (r *registry) apply(rul *ruling) {
	r.mu.Lock()
	now := r.proxy.now()
	var out []schedule.Directive
	for name, u := range rul.Upstreams {
		up := r.upstreams[name]
		if up == nil {
			up = &upstream{name: name}
			up.conf.Store(u)
			up.host = schedule.NewHost(r.hostConfig(rul, up, u))
			r.upstreams[name] = up
		} else {
			out = up.host.Configure(now, r.hostConfig(rul, up, u), out)
		}
		up.conf.Store(u)
		up.hosts.set(u)
	}
	for key, p := range r.pools {
		out = r.reconfigure(rul, key, p, now, out)
	}
	list := make([]*upstream, 0, len(r.upstreams))
	for _, up := range r.upstreams {
		list = append(list, up)
	}
	r.list.Store(&list)
	r.mu.Unlock()
	r.proxy.carry(out)
}

func (r *registry) reconfigure(rul *ruling, key poolKey, p *pool, now int64, out []schedule.Directive) []schedule.Directive {
	d := rul.database(key.database)
	if d == nil || rul.Upstreams[d.Upstream] == nil || d.Upstream != p.up.name || orString(d.DBName, key.database) != p.dbname {
		delete(r.pools, key)
		return p.up.host.RemovePool(now, p.sched, out)
	}
	p.database.Store(d)
	p.disabled.Store(d.Disabled)
	return p.up.host.ConfigurePool(now, p.sched, r.poolConfig(rul, d, key), out)
}

func (r *registry) poolConfig(rul *ruling, d *Database, key poolKey) schedule.PoolConfig {
	size, least, reserve := rul.poolSize(d, key.user)
	life := rul.Timeouts.ServerLifetime
	if d.ServerLifetime >= 0 {
		life = d.ServerLifetime
	}
	userMax := rul.Limits.MaxServersPerUser
	if u := rul.Users[key.user]; u != nil && u.MaxServers > 0 {
		userMax = u.MaxServers
	}
	if key.operator {
		size, least, reserve, userMax = 0, 1, 0, 0
	}
	return schedule.PoolConfig{
		Name: key.database + "/" + key.user, Max: size, Min: least, Reserve: reserve, Operator: key.operator,
		ReserveAfter: rul.Defaults.ReserveAfter,
		Database:     r.cap("d:"+d.Upstream+"/"+orString(d.DBName, key.database), orInt(d.MaxServers, rul.Limits.MaxServersPerDB)),
		User:         r.cap("u:"+d.Upstream+"/"+key.user, userMax),
		IdleTimeout:  rul.Timeouts.ServerIdle, Lifetime: life, Jitter: 0.1,
		RoundRobin: rul.Defaults.RoundRobin, CheckAfter: rul.Timeouts.ServerCheckDelay,
	}
}

func (r *registry) cap(name string, top int) *schedule.Cap {
	c := r.caps[name]
	if c == nil {
		c = schedule.NewCap(top)
		r.caps[name] = c
	}
	c.SetMax(top)
	return c
}

func orString(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// pool returns the pool of a client, making it at its first.
func (r *registry) pool(rul *ruling, d *Database, name, user string) *pool {
	role := orString(d.ForcedUser, user)
	key := poolKey{name, role, rul.operators[user]}
	r.mu.RLock()
	p := r.pools[key]
	r.mu.RUnlock()
	if p != nil {
		return p
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p = r.pools[key]; p != nil {
		return p
	}
	up := r.upstreams[d.Upstream]
	if up == nil {
		return nil
	}
	p = &pool{key: key, up: up, dbname: orString(d.DBName, name), role: role, byLoop: make([]poolStats, len(r.proxy.loops))}
	p.database.Store(d)
	p.disabled.Store(d.Disabled)
	p.sched = up.host.AddPool(r.proxy.now(), r.poolConfig(rul, d, key))
	if r.proxy.state.Load() == statePaused {
		p.paused.Store(true)
		up.host.Pause(r.proxy.now(), p.sched, nil)
	}
	r.pools[key] = p
	r.bySched[p.sched] = p
	return p
}

// upstream returns one by name; nil when there is none.
func (r *registry) upstream(name string) *upstream {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.upstreams[name]
}

// find returns a pool by its schedule side.
func (r *registry) find(s *schedule.Pool) *pool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.bySched[s]
}

// all lists the pools; hosts lists the upstreams.
func (r *registry) all() []*pool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]*pool, 0, len(r.pools))
	for _, p := range r.pools {
		list = append(list, p)
	}
	return list
}

func (r *registry) hosts() []*upstream {
	if list := r.list.Load(); list != nil {
		return *list
	}
	return nil
}

// maxFits bounds how many startup identities are told apart; beyond it clients
// of session pools get servers of their own.
const maxFits = 10000

// fit gives a startup identity a number: servers of session pools are reused
// for equal ones only. 0 is the plain identity of transaction pools.
func (r *registry) fit(params []wire.Param) uint64 {
	var key []byte
	for _, p := range params {
		key = append(append(strconv.AppendQuote(key, p.Name), '='), strconv.Quote(p.Value)...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.fits[string(key)]; ok {
		return id
	}
	if len(r.fits) >= maxFits {
		clear(r.fits) // old servers fit nobody any more and age out
		clear(r.startups)
	}
	id := r.proxy.ids.Add(1)
	r.fits[string(key)] = id
	r.startups[id] = params
	return id
}

func (r *registry) startup(fit uint64) []wire.Param {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.startups[fit]
}
