package proxy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"spillway/internal/auth"
	"spillway/internal/wire"
)

// census is what a server said of its connections.
type census struct {
	at             time.Time
	maxConnections int
	reserved       int // superuser_reserved_connections and reserved_connections
	foreign        int // connections that are not ours, our own census included
	missing        int // servers we hold that it does not know
}

// Times of the ledger.
const (
	censusEvery = 10 * time.Second
	censusSoon  = time.Second // until the first answer
	censusLimit = 5 * time.Second
)

// fallbackSlots is the budget while a server's own max_connections is unknown:
// PostgreSQL's default less its reserved ones.
const fallbackSlots = 97

// censusQuery needs no rights: everybody sees pids.
const censusQuery = `SELECT pg_catalog.current_setting('max_connections'),
 pg_catalog.current_setting('superuser_reserved_connections')::int + coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int,
 pg_catalog.array_to_string(ARRAY(SELECT pid FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()), ',')`

// budget is how many servers the upstream's pools may share: what is
// configured, and no more than the server has left for us.
func (up *upstream) budget(u *Upstream, operators bool) int {
	n := u.MaxConnections
	if c := up.asked.Load(); c != nil {
		if free := c.maxConnections - c.reserved - c.foreign; n <= 0 || free < n {
			n = free
		}
	} else if n <= 0 {
		n = fallbackSlots
	}
	if operators {
		n -= u.OperatorSlots
	}
	return max(n, 1)
}

// blown is the fuse: whatever the books say, no more connections are opened to
// an upstream than its whole budget. It counts sockets, not servers.
func (up *upstream) blown(open int64, operators bool) bool {
	return open > int64(up.budget(up.conf.Load(), operators)+up.conf.Load().OperatorSlots)
}

// ledger reconciles what we believe is open with what a server says is.
type ledger struct {
	proxy  *Proxy
	up     *upstream
	link   *link
	doubts map[uint32]bool // pids that were missing last time
	silent bool            // the last census failed; it was told
}

// keepLedgers runs until the proxy ends.
func (p *Proxy) keepLedgers() {
	defer p.workers.Done()
	books := map[*upstream]*ledger{}
	wait := time.Duration(0)
	for {
		select {
		case <-p.background.Done():
			for _, b := range books {
				b.close()
			}
			return
		case <-time.After(wait):
		}
		wait = censusEvery
		var all sync.WaitGroup
		for _, up := range p.pools.hosts() {
			b := books[up]
			if b == nil {
				b = &ledger{proxy: p, up: up}
				books[up] = b
			}
			all.Go(b.reconcile)
		}
		all.Wait()
		for _, b := range books {
			if b.up.asked.Load() == nil {
				wait = censusSoon
			}
		}
	}
}

func (b *ledger) close() {
	if b.link != nil {
		b.link.close()
		b.link = nil
	}
}

func (b *ledger) reconcile() {
	ctx, stop := context.WithTimeout(b.proxy.background, censusLimit)
	defer stop()
	before := b.ours(ctx)
	seen, c, err := b.ask(ctx)
	if err != nil {
		b.close()
		if !b.silent && b.proxy.background.Err() == nil {
			b.proxy.log.Warn("the server was not asked for its connections: the budget stays as it is", "upstream", b.up.name, "error", err,
				"mend", "the user of servers."+b.up.name+".url must be able to log in")
		}
		b.silent = true
		return
	}
	b.silent = false
	b.judge(before, b.ours(ctx), seen, c)
	if old := b.up.asked.Swap(c); old == nil || old.maxConnections-old.reserved-old.foreign != c.maxConnections-c.reserved-c.foreign {
		b.proxy.pools.rebudget(b.up)
	}
}

// ask runs the census on a connection that is kept.
func (b *ledger) ask(ctx context.Context) (map[uint32]bool, *census, error) {
	if b.link == nil {
		u := b.up.conf.Load()
		d := dialing{conf: u, database: orString(u.Database, "postgres"), role: u.User}
		d.params = append(d.params, wire.Param{Name: "application_name", Value: "spillway ledger"})
		if u.Password != "" {
			d.creds = &credentials{secret: auth.PlainSecret(u.Password)}
		} else if raw, ok := b.proxy.policy.Load().Auth.Secrets[u.User]; ok {
			if secret, err := auth.ParseSecret(raw); err == nil {
				d.creds = &credentials{secret: secret}
			}
		}
		k, err := b.up.hosts.dial(ctx, d)
		if err != nil {
			return nil, nil, err
		}
		b.link = k
	}
	end := context.AfterFunc(ctx, func() { _ = b.link.nc.SetDeadline(time.Unix(1, 0)) })
	rows, err := b.link.query(censusQuery)
	if !end() && err == nil {
		err = ctx.Err()
	}
	if err == nil && (len(rows) != 1 || len(rows[0]) != 3) {
		err = fmt.Errorf("read census: %d rows", len(rows))
	}
	if err != nil {
		return nil, nil, err
	}
	c := &census{at: time.Now()}
	seen := map[uint32]bool{}
	if c.maxConnections, err = strconv.Atoi(string(rows[0][0])); err == nil {
		c.reserved, err = strconv.Atoi(string(rows[0][1]))
	}
	for text := range strings.SplitSeq(string(rows[0][2]), ",") {
		if pid, err := strconv.ParseUint(text, 10, 32); err == nil {
			seen[uint32(pid)] = true
		}
	}
	return seen, c, err
}

// ours are the pids of our servers on the host the census asks.
func (b *ledger) ours(ctx context.Context) map[uint32]*server {
	pids := map[uint32]*server{}
	var mu sync.Mutex
	_ = b.proxy.facts(ctx, func(l *loop) {
		mu.Lock()
		defer mu.Unlock()
		for s := range l.servers {
			if s.pool.up == b.up && (b.link == nil || s.addr == b.link.addr) {
				pids[s.pid] = s
			}
		}
	})
	return pids
}

// judge counts what is foreign, and closes servers that have been missing
// twice: their connection is dead and nobody has noticed.
func (b *ledger) judge(before, after map[uint32]*server, seen map[uint32]bool, c *census) {
	unknown := 0
	for pid := range seen {
		if before[pid] == nil && after[pid] == nil {
			unknown++
		}
	}
	opening := 0
	for _, p := range b.up.host.Snapshot(b.proxy.now()).Pools {
		opening += p.Opening
	}
	c.foreign = max(0, unknown-opening) + 1
	doubts := map[uint32]bool{}
	for pid, s := range after {
		if before[pid] != s || seen[pid] {
			continue
		}
		c.missing++
		if !b.doubts[pid] {
			doubts[pid] = true
			continue
		}
		b.proxy.log.Error("ledger: the server does not know a connection we hold; it is closed", "upstream", b.up.name, "server", s.id, "pid", pid)
		l := s.loop
		l.post(func() {
			if !s.closed && s.pid == pid {
				l.lost(s, "unknown to the server")
			}
		})
	}
	b.doubts = doubts
}

// rebudget brings the schedule to what a census said.
func (r *registry) rebudget(up *upstream) {
	r.mu.Lock()
	rul := r.proxy.policy.Load()
	u := rul.Upstreams[up.name]
	if u == nil || r.upstreams[up.name] != up {
		r.mu.Unlock()
		return
	}
	cfg := r.hostConfig(rul, up, u)
	out := up.host.Configure(r.proxy.now(), cfg, nil)
	r.mu.Unlock()
	c := up.asked.Load()
	r.proxy.log.Info("budget of a server", "upstream", up.name, "slots", cfg.Usable, "operator_slots", cfg.Operator,
		"max_connections", c.maxConnections, "reserved", c.reserved, "foreign", c.foreign)
	r.proxy.carry(out)
}
