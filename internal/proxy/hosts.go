package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"spillway/internal/wire"
)

// hostChoice finds the host of an upstream that fits target_session_attrs, and
// watches the names' addresses.
type hostChoice struct {
	mu    sync.Mutex // guards what follows
	hosts []Address
	next  int
	seen  map[string]resolved
}

type resolved struct {
	addrs []string
	at    time.Time
}

func (h *hostChoice) set(u *Upstream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.hosts, u.Hosts) {
		h.hosts, h.next = u.Hosts, 0
	}
}

// order is the hosts in the order they are to be tried.
func (h *hostChoice) order(balance bool) []Address {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.hosts)
	list := make([]Address, 0, n)
	for i := range n {
		list = append(list, h.hosts[(h.next+i)%n])
	}
	if balance && n > 0 {
		h.next = (h.next + 1) % n
	}
	return list
}

func (h *hostChoice) prefer(at Address) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.hosts, at); i >= 0 {
		h.next = i
	}
}

// dial tries the hosts until one accepts and fits. The error is the last one's;
// a server's own words win over a network's.
func (h *hostChoice) dial(ctx context.Context, d dialing) (*link, error) {
	var failed error
	var spare *link
	hosts := h.order(d.conf.LoadBalance)
	for _, at := range hosts {
		k, err := dialHost(ctx, at, d)
		if err != nil {
			var se *serverError
			if failed == nil || errors.As(err, &se) {
				failed = err
			}
			if ctx.Err() != nil {
				break
			}
			continue
		}
		fit, err := k.fits(d.conf.TargetSession)
		switch {
		case err != nil:
			k.close()
			failed = err
		case fit:
			if spare != nil {
				spare.close()
			}
			if !d.conf.LoadBalance {
				h.prefer(at)
			}
			return k, nil
		case d.conf.TargetSession == "prefer-standby" && spare == nil:
			spare = k
		default:
			k.close()
			failed = fmt.Errorf("connect to %s: the server is not %s", k.addr, d.conf.TargetSession)
		}
	}
	if spare != nil {
		return spare, nil
	}
	if failed == nil {
		failed = errors.New("connect to server: no host is configured")
	}
	return nil, failed
}

// fits tells whether the server is what target_session_attrs wants.
func (k *link) fits(want string) (bool, error) {
	if want == "" || want == "any" {
		return true, nil
	}
	standby, okS := param(k.params, "in_hot_standby")
	readOnly, okR := param(k.params, "default_transaction_read_only")
	if !okS || !okR { // before PostgreSQL 14
		rows, err := k.query("SELECT pg_catalog.pg_is_in_recovery()::text, pg_catalog.current_setting('transaction_read_only')")
		if err != nil || len(rows) != 1 || len(rows[0]) != 2 {
			return false, fmt.Errorf("ask server for its role: %w", err)
		}
		standby, readOnly = "off", string(rows[0][1])
		if rows[0][0] != nil && string(rows[0][0]) == "true" {
			standby = "on"
		}
	}
	switch want {
	case "primary":
		return standby == "off", nil
	case "standby", "prefer-standby":
		return standby == "on", nil
	case "read-write":
		return standby == "off" && readOnly == "off", nil
	case "read-only":
		return standby == "on" || readOnly == "on", nil
	}
	return false, fmt.Errorf("unknown target_session_attrs %q", want)
}

func param(list []wire.Param, name string) (string, bool) {
	for _, p := range list {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// resolve looks names up again when their time is over; where the addresses
// have changed, servers are replaced as they become free.
func (r *registry) resolve() {
	for _, up := range r.hosts() {
		u := up.conf.Load()
		ttl := u.DNSMaxTTL
		if ttl <= 0 {
			ttl = 15 * time.Second
		}
		if !up.hosts.refresh(r.proxy.background, ttl) {
			continue
		}
		r.proxy.log.Info("addresses of a server changed", "upstream", up.name)
		for _, p := range r.all() {
			if p.up == up {
				r.proxy.carry(up.host.Reconnect(r.proxy.now(), p.sched, nil))
			}
		}
	}
}

// refresh reports whether an address in use before is gone.
func (h *hostChoice) refresh(ctx context.Context, ttl time.Duration) bool {
	changed := false
	for _, at := range h.order(false) {
		if net.ParseIP(at.Host) != nil || strings.HasPrefix(at.Host, "/") {
			continue
		}
		h.mu.Lock()
		old, known := h.seen[at.Host]
		h.mu.Unlock()
		if known && time.Since(old.at) < ttl {
			continue
		}
		look, stop := context.WithTimeout(ctx, 5*time.Second)
		addrs, err := net.DefaultResolver.LookupHost(look, at.Host)
		stop()
		if err != nil {
			addrs = old.addrs
		}
		slices.Sort(addrs)
		h.mu.Lock()
		if h.seen == nil {
			h.seen = map[string]resolved{}
		}
		h.seen[at.Host] = resolved{addrs, time.Now()}
		h.mu.Unlock()
		for _, a := range old.addrs {
			changed = changed || !slices.Contains(addrs, a)
		}
	}
	return changed
}

func (h *hostChoice) names() []DNSStat {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []DNSStat
	for name, r := range h.seen {
		list = append(list, DNSStat{Host: name, Addrs: r.addrs, TTL: max(0, 15*time.Second-time.Since(r.at))})
	}
	return list
}
