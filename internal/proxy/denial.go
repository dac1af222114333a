package proxy

import (
	"net/netip"
	"sync"
	"time"
)

// Denial is failed logins of one service at Spillway's door: PostgreSQL saw
// nothing of them.
type Denial struct {
	User, Application, Addr string // as the client says; Addr without the port, "unix" for a socket
	Recent                  int    // within the last 5 to 10 s
	Total                   uint64 // since FirstAt
	FirstAt, LastAt         time.Time
}

// Failed logins are counted in steps; a series ends when a step and the one
// before had none.
const denialStep = int64(5 * time.Second)

// maxDenials bounds the memory that made-up names can take; names are cut to
// what PostgreSQL keeps of them.
const (
	maxDenials = 1000
	maxNameLen = 63
)

type denialKey struct {
	user, application string
	addr              netip.Addr
}

type denialCount struct {
	step        int64 // number of the one that now counts
	now, before int
	total       uint64
	first, last int64
}

// denials are written at failed logins only, never on the way of a statement.
type denials struct {
	mu  sync.Mutex // guards all
	all map[denialKey]*denialCount
}

func (d *denials) add(c *client, now int64) {
	key := denialKey{c.user[:min(len(c.user), maxNameLen)], c.app[:min(len(c.app), maxNameLen)], c.limitAddr()}
	d.mu.Lock()
	defer d.mu.Unlock()
	one := d.all[key]
	if one == nil {
		if d.all == nil || len(d.all) >= maxDenials {
			d.all = map[denialKey]*denialCount{}
		}
		one = new(denialCount)
		d.all[key] = one
	}
	one.turn(now / denialStep)
	if one.now+one.before == 0 {
		one.first, one.total = now, 0
	}
	one.now++
	one.total++
	one.last = now
}

// turn goes on to a step.
func (n *denialCount) turn(step int64) {
	switch {
	case step == n.step:
		return
	case step == n.step+1:
		n.before = n.now
	default:
		n.before = 0
	}
	n.now, n.step = 0, step
}

// denied lists the series that go on, and forgets the others.
func (p *Proxy) denied() []Denial {
	d, now := &p.denials, p.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []Denial
	for key, n := range d.all {
		n.turn(now / denialStep)
		if n.now+n.before == 0 {
			delete(d.all, key)
			continue
		}
		addr := "unix"
		if key.addr.IsValid() {
			addr = key.addr.String()
		}
		list = append(list, Denial{key.user, key.application, addr, n.now + n.before, n.total, p.at(n.first), p.at(n.last)})
	}
	return list
}
