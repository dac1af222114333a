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
	lingering      int // servers we have closed that still run there
	stray          int // slots that are taken and belong to no server of ours
}

// Times of the ledger.
const (
	censusEvery = 10 * time.Second
	censusSoon  = time.Second // until the first answer
	censusLimit = 5 * time.Second
)

// fallbackSlots is the budget while a server's own max_connections is unknown:
// careful, for the first moments or where the server cannot be asked.
const fallbackSlots = 20

// censusQuery lists pid:age:c, the age in ms, c for those that count against
// max_connections. It needs no rights: what a role may not see of others'
// sessions (age and type) is left empty, and whoever has user and database counts.
const censusQuery = `SELECT pg_catalog.current_setting('max_connections'),
 pg_catalog.current_setting('superuser_reserved_connections')::int + coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int,
 pg_catalog.array_to_string(ARRAY(SELECT pid::text || ':' || coalesce((extract(epoch from pg_catalog.clock_timestamp() - backend_start) * 1000)::bigint::text, '')
   || CASE WHEN coalesce(backend_type = 'client backend', usesysid IS NOT NULL AND datid IS NOT NULL) THEN ':c' ELSE ':' END
  FROM pg_catalog.pg_stat_activity WHERE pid <> pg_catalog.pg_backend_pid()), ',')`

// backend is what a server says of one of its connections.
type backend struct {
	age   time.Duration // <0 = not told
	slots bool          // counts against max_connections
}

// may tells whether the backend can be a connection that we have had for age:
// it is no younger. Backends take the pids of those that ended.
func (k backend) may(age time.Duration) bool { return k.age < 0 || k.age >= age-ageSlack }

// ageSlack is what two clocks may differ by over the life of a connection.
const ageSlack = 2 * time.Second

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
// an upstream than its whole budget, operators' part included. It counts sockets,
// not servers.
func (up *upstream) blown(open int64) bool { return open > int64(up.budget(up.conf.Load(), false)) }

// ledger reconciles what we believe is open with what a server says is.
type ledger struct {
	proxy  *Proxy
	up     *upstream
	link   *link
	doubts map[uint32]bool // pids that were missing last time
	ghosts map[uint32]bool // pids that lingered last time
	stray  int             // slots without a server last time
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
	if b.up.host.Snapshot(b.proxy.now()).Breaker.Open {
		b.close()
		return // one prober is enough
	}
	before, _ := b.ours(ctx)
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
	after, all := b.ours(ctx)
	b.judge(before, after, seen, c)
	b.audit(all, c)
	if old := b.up.asked.Swap(c); old == nil || old.maxConnections-old.reserved-old.foreign != c.maxConnections-c.reserved-c.foreign {
		b.proxy.pools.rebudget(b.up)
	}
}

// ask runs the census on a connection that is kept.
func (b *ledger) ask(ctx context.Context) (map[uint32]backend, *census, error) {
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
	seen := map[uint32]backend{}
	if c.maxConnections, err = strconv.Atoi(string(rows[0][0])); err == nil {
		c.reserved, err = strconv.Atoi(string(rows[0][1]))
	}
	for text := range strings.SplitSeq(string(rows[0][2]), ",") {
		pid, k, ok := parseBackend(text)
		if ok {
			seen[pid] = k
		}
	}
	return seen, c, err
}

func parseBackend(text string) (uint32, backend, bool) {
	part := strings.Split(text, ":")
	if len(part) != 3 {
		return 0, backend{}, false
	}
	pid, err := strconv.ParseUint(part[0], 10, 32)
	k := backend{age: -1, slots: part[2] == "c"}
	if ms, err := strconv.ParseInt(part[1], 10, 64); err == nil {
		k.age = time.Duration(max(ms, 0)) * time.Millisecond
	}
	return uint32(pid), k, err == nil
}

// held is one of our servers as its loop sees it.
type held struct {
	server *server
	loop   *loop
	id     uint64
	age    time.Duration
}

// ours are our servers on the host the census asks, by pid, and how many there
// are on all hosts.
func (b *ledger) ours(ctx context.Context) (pids map[uint32]held, all int) {
	pids = map[uint32]held{}
	_ = b.proxy.facts(ctx, func(l *loop) { // one loop after the other
		for s := range l.servers {
			if s.pool.up != b.up {
				continue
			}
			all++
			if b.link == nil || s.addr == b.link.addr {
				pids[s.pid] = held{s, l, s.id, time.Duration(b.proxy.now() - s.openedAt)}
			}
		}
	})
	return pids, all
}

// judge counts what is foreign, and mends what has drifted twice: servers whose
// connection is dead and nobody has noticed are closed, backends that go on
// after we have closed them are ended.
func (b *ledger) judge(before, after map[uint32]held, seen map[uint32]backend, c *census) {
	unknown, known := 0, 0
	for pid, k := range seen {
		_, was := before[pid]
		_, is := after[pid]
		if was || is {
			known++
		} else if k.slots {
			unknown++
		}
	}
	opening := 0
	for _, p := range b.up.host.Snapshot(b.proxy.now()).Pools {
		opening += p.Opening
	}
	c.foreign = max(0, unknown-opening) + 1
	if known == 0 && len(after) > 1 {
		// It knows none of them: the other side is a pooler that makes pids up.
		b.doubts, b.ghosts = nil, nil
		return
	}
	b.bury(before, after, seen, c)
	b.exorcise(before, after, seen, c)
}

// bury closes servers that have been missing twice.
func (b *ledger) bury(before, after map[uint32]held, seen map[uint32]backend, c *census) {
	doubts := map[uint32]bool{}
	for pid, h := range after {
		k, there := seen[pid]
		if before[pid].server != h.server || there && k.may(h.age) {
			continue
		}
		c.missing++
		if !b.doubts[pid] {
			doubts[pid] = true
			continue
		}
		b.up.mended.Add(1)
		b.proxy.log.Error("ledger: the server does not know a connection we hold; it is closed", "upstream", b.up.name, "server", h.id, "pid", pid)
		h.loop.post(func() {
			if s := h.server; s.loop == h.loop && !s.closed {
				h.loop.lost(s, "unknown to the server")
			}
		})
	}
	b.doubts = doubts
}

// exorcise ends backends that run on although we have closed their connection:
// a statement notices nothing of that before its end, and its slot is taken.
func (b *ledger) exorcise(before, after map[uint32]held, seen map[uint32]backend, c *census) {
	ghosts := map[uint32]bool{}
	for pid, k := range seen {
		_, was := before[pid]
		_, is := after[pid]
		opened, gone := b.up.closed.of(pid)
		if was || is || !gone || k.age < 0 || !k.may(time.Duration(b.proxy.now()-opened)) {
			continue
		}
		c.lingering++
		if !b.ghosts[pid] {
			ghosts[pid] = true
			continue
		}
		least := max(0, (time.Duration(b.proxy.now()-opened) - ageSlack).Milliseconds())
		sql := fmt.Sprintf("SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE pid = %d AND backend_start <= pg_catalog.clock_timestamp() - interval '%d ms'", pid, least)
		if _, err := b.link.query(sql); err != nil {
			b.proxy.log.Warn("ledger: a backend runs on after its connection was closed, and could not be ended", "upstream", b.up.name, "pid", pid, "error", err)
			continue
		}
		b.up.mended.Add(1)
		b.proxy.log.Error("ledger: a backend ran on after its connection was closed; it is ended", "upstream", b.up.name, "pid", pid)
	}
	b.ghosts = ghosts
}

// audit compares the slots the schedule believes taken with the servers there
// are. What comes and goes meanwhile does not stay twice.
func (b *ledger) audit(all int, c *census) {
	h := b.up.host.Snapshot(b.proxy.now())
	taken := h.Total + h.OperatorUp
	for _, p := range h.Pools {
		taken -= p.Opening + p.Closing
	}
	stray := taken - all
	if stray == b.stray {
		c.stray = stray
	}
	if c.stray != 0 {
		b.proxy.log.Error("ledger: slots are taken that no server fills", "upstream", b.up.name, "slots", taken, "servers", all)
	}
	b.stray = stray
}

// maxClosed bounds how many closed connections are remembered.
const maxClosed = 1024

// obituary remembers when connections that we closed had been opened.
type obituary struct {
	mu   sync.Mutex // guards what follows
	pids map[uint32]int64
	last time.Time
}

func (o *obituary) add(pid uint32, opened int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pids == nil || len(o.pids) >= maxClosed {
		o.pids = map[uint32]int64{}
	}
	o.pids[pid], o.last = opened, time.Now()
}

// lately says whether a connection was closed a moment ago.
func (o *obituary) lately() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Since(o.last) < time.Second
}

func (o *obituary) of(pid uint32) (opened int64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	opened, ok = o.pids[pid]
	return opened, ok
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
