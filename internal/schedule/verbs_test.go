package schedule

import "testing"

func TestPauseDisconnectsAndKeepsWaiters(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 3, Connect: quick})
	p := w.pool(PoolConfig{})
	s := w.openOne(p)
	w.idle(p, 1)
	w.obey(w.h.Pause(w.now, p, nil))
	eq(t, "idle closed", w.last[0].Reason, PoolPaused)
	eq(t, "not yet", w.h.Paused(p), false)
	x := w.client(p)
	w.release(s)
	eq(t, "held one closes", w.last[0].Reason, PoolPaused)
	w.settle()
	eq(t, "paused", w.h.Paused(p), true)
	eq(t, "still waiting", len(w.waiting), 1)
	w.obey(w.h.Resume(w.now, p, nil))
	w.settle()
	eq(t, "served", w.server(x) != nil, true)
}

func TestReconnectClosesOnRelease(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 3, Connect: quick})
	p := w.pool(PoolConfig{})
	s := w.openOne(p)
	w.idle(p, 1)
	w.obey(w.h.Reconnect(w.now, p, nil))
	eq(t, "idle", w.count(Close), 1)
	w.settle()
	w.release(s)
	eq(t, "held", w.last[0].Reason, Reconnecting)
	w.settle()
	s = w.openOne(p)
	w.release(s)
	eq(t, "a new one stays", w.stat().Pools[0].Idle, 1)
}

func TestDisableRefusesAcquire(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 3})
	p := w.pool(PoolConfig{})
	w.idle(p, 1)
	w.h.Disable(p)
	c := &Waiter{}
	_, v := w.acquire(p, c)
	eq(t, "verdict", v, Refused)
	eq(t, "why", c.Refusal, PoolDisabled)
	w.h.Enable(p)
	_, v = w.acquire(p, c)
	eq(t, "verdict", v, Granted)
}

func TestKillEndsEverything(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 2, Connect: quick})
	p := w.pool(PoolConfig{Max: 1})
	s := w.openOne(p)
	x := w.client(p)
	w.obey(w.h.Kill(w.now, p, nil))
	eq(t, "waiter", w.failed[x], PoolKilled)
	eq(t, "held server closes", w.closes[0], s)
	w.release(s) // the proxy may still say so
	w.settle()
	eq(t, "servers", w.stat().Total, 0)
	y := w.client(p)
	eq(t, "paused after", len(w.opens), 0)
	w.obey(w.h.Resume(w.now, p, nil))
	w.settle()
	eq(t, "served", w.server(y) != nil, true)
}

func TestKillWhileOpening(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 2})
	p := w.pool(PoolConfig{})
	w.client(p)
	s := w.opens[0]
	w.obey(w.h.Kill(w.now, p, nil))
	w.opened(s) // crossed the Close
	eq(t, "nothing granted", len(w.held), 0)
	w.gone(s)
	eq(t, "servers", w.stat().Total, 0)
}

func TestRemovePool(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 3, Connect: quick})
	p := w.pool(PoolConfig{Max: 2})
	held := w.openOne(p)
	w.idle(p, 1)
	w.now += 200 * ms
	w.obey(w.h.RemovePool(w.now, p, nil))
	w.settle()
	c := &Waiter{}
	_, v := w.acquire(p, c)
	eq(t, "verdict", v, Refused)
	eq(t, "why", c.Refusal, PoolRemoved)
	w.release(held)
	eq(t, "reason", w.last[0].Reason, PoolRemoved)
	w.settle()
	eq(t, "pools", len(w.stat().Pools), 0)
	w.obey(w.h.RemovePool(w.now, p, nil))
	w.obey(w.h.ConfigurePool(w.now, p, PoolConfig{}, nil))
}
