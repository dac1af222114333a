package proxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestDenialsCountSeries(t *testing.T) {
	p := &Proxy{start: time.Now()}
	c := &client{place: &place{user: "legacy", app: "pool"}, addr: netip.MustParseAddr("10.0.0.7"), port: 4711}
	now := p.now()
	for range 30 {
		p.denials.add(c, now)
	}
	list := p.denied()
	if len(list) != 1 || list[0].User != "legacy" || list[0].Application != "pool" || list[0].Addr != "10.0.0.7" || list[0].Recent != 30 || list[0].Total != 30 {
		t.Fatalf("denied %+v", list)
	}
	n := p.denials.all[denialKey{"legacy", "pool", c.limitAddr()}]
	n.turn(n.step + 1)
	if n.now != 0 || n.before != 30 {
		t.Errorf("a step later %+v", n)
	}
	n.turn(n.step + 2)
	if n.now+n.before != 0 {
		t.Errorf("three steps later %+v", n)
	}
	if list := p.denied(); len(list) != 0 || len(p.denials.all) != 0 {
		t.Errorf("a series that is over stays: %+v", list)
	}
	for i := range 2 * maxDenials {
		c.user = fmt.Sprintf("made-up-%d-%0100d", i, i)
		p.denials.add(c, now)
	}
	if len(p.denials.all) > maxDenials {
		t.Errorf("%d names are kept", len(p.denials.all))
	}
}
