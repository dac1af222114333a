package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// gate counts clients against the limits on them. One for all loops; taken at
// login and at the end of a client, never in between.
type gate struct {
	clients atomic.Int64
	logging atomic.Int64
	refused [reasonCount]atomic.Uint64
	delayed atomic.Int64 // refused connections that are told a little later

	mu     sync.Mutex // guards the maps
	byAddr map[netip.Addr]int
	byUser map[string]int
	byDB   map[string]int
	rate   map[netip.Addr]*loginRate
}

// loginRate is a token bucket of logins of one address.
type loginRate struct {
	tokens float64
	at     int64
}

// maxRates bounds the memory an attacker with many addresses can take.
const maxRates = 65536

func (g *gate) init() {
	g.byAddr, g.byUser, g.byDB = map[netip.Addr]int{}, map[string]int{}, map[string]int{}
	g.rate = map[netip.Addr]*loginRate{}
}

// connect counts a new connection; a reason refuses it.
func (g *gate) connect(l *Limits, addr netip.Addr, now int64) reason {
	n := g.clients.Add(1)
	// Admins may exceed the limit; they are known only after login. A margin
	// for connections still logging in bounds everything else.
	if l.MaxClients > 0 && n > int64(l.MaxClients)+loginMargin {
		g.clients.Add(-1)
		return tooManyClients
	}
	if !addr.IsValid() || l.MaxClientsPerAddr == 0 && l.LoginsPerAddr == 0 {
		return noReason
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.MaxClientsPerAddr > 0 && g.byAddr[addr] >= l.MaxClientsPerAddr {
		g.clients.Add(-1)
		return tooManyClientsAddr
	}
	if l.LoginsPerAddr > 0 && !g.allow(addr, l.LoginsPerAddr, now) {
		g.clients.Add(-1)
		return tooManyLogins
	}
	g.byAddr[addr]++
	return noReason
}

const loginMargin = 100

func (g *gate) allow(addr netip.Addr, rate float64, now int64) bool {
	r := g.rate[addr]
	if r == nil {
		if len(g.rate) >= maxRates {
			clear(g.rate)
		}
		r = &loginRate{tokens: max(rate, 1), at: now}
		g.rate[addr] = r
	}
	r.tokens = min(max(rate, 1), r.tokens+float64(now-r.at)/1e9*rate)
	r.at = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

func (g *gate) disconnect(l *Limits, addr netip.Addr) {
	g.clients.Add(-1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := g.byAddr[addr]; n > 1 {
		g.byAddr[addr] = n - 1
	} else if n == 1 {
		delete(g.byAddr, addr)
	}
}

// enter counts a client that is logged in.
func (g *gate) enter(r *ruling, d *Database, user string) reason {
	if top := r.Limits.MaxClients; top > 0 && !r.operators[user] && g.clients.Load()-g.logging.Load() > int64(top) {
		return tooManyClients
	}
	userMax, dbMax := r.Limits.MaxClientsPerUser, r.Limits.MaxClientsPerDB
	if u := r.Users[user]; u != nil && u.MaxClients > 0 {
		userMax = u.MaxClients
	}
	if d.MaxClients > 0 {
		dbMax = d.MaxClients
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.operators[user] {
		userMax, dbMax = 0, 0
	}
	if userMax > 0 && g.byUser[user] >= userMax {
		return tooManyClientsUser
	}
	if dbMax > 0 && g.byDB[d.Name] >= dbMax {
		return tooManyClientsDB
	}
	g.byUser[user]++
	g.byDB[d.Name]++
	return noReason
}

func (g *gate) leave(d *Database, user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	drop(g.byUser, user)
	drop(g.byDB, d.Name)
}

func drop(m map[string]int, k string) {
	if m[k] > 1 {
		m[k]--
	} else {
		delete(m, k)
	}
}

func (g *gate) counts(m map[string]int) map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := make(map[string]int, len(m))
	for k, n := range m {
		c[k] = n
	}
	return c
}
