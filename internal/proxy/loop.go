package proxy

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"spillway/internal/schedule"
	"spillway/internal/session"
	"spillway/internal/wire"
)

// loop is one locked OS thread with the clients and servers it owns.
type loop struct {
	proxy *Proxy
	id    int
	log   *slog.Logger
	drv   driver
	now   int64
	wheel wheel
	cache *session.Cache

	clients map[*client]struct{}
	servers map[*server]struct{}
	lns     []*endpoint

	fx      session.Effects
	gather  []byte      // what one event makes for one endpoint
	plain   []byte      // what TLS deciphered
	kept    spares      // for ciphertext
	run     []*client   // granted a server in this turn
	settled []*server   // at a boundary in this turn
	sealed  []*endpoint // may be read again, and have plaintext that no event will bring
	dirs    [][]schedule.Directive
	bufs    [][]byte

	blamed    blamed
	limitsFor *ruling // that limitSets are of
	limitSets map[limitKey]*limits
	works     map[workKey]*work
	told      map[greeting][]byte // how clients are welcomed
	words     []byte              // scratch: what one client is told at login
	keepAlive time.Duration       // that the listeners were tuned with
	places    places
	turns     []*turn // for clients that become active
	timers    []*timer
	logins    []*login

	turned  atomic.Int64
	stopped bool

	mu    sync.Mutex // guards mail
	mail  []func()
	spare []func()
}

func newLoop(p *Proxy, id int) (*loop, error) {
	l := &loop{proxy: p, id: id, log: p.log.With("loop", id),
		cache:   session.NewCache(fmt.Sprintf("sw%d_", id)),
		clients: map[*client]struct{}{}, servers: map[*server]struct{}{}}
	l.turned.Store(p.now())
	return l, nil
}

// post hands work to the loop's thread. It may be called from any goroutine.
func (l *loop) post(f func()) {
	l.mu.Lock()
	l.mail = append(l.mail, f)
	first := len(l.mail) == 1
	l.mu.Unlock()
	if first && l.drv != nil {
		l.drv.wake()
	}
}

func (l *loop) woken() {
	l.mu.Lock()
	list := l.mail
	l.mail, l.spare = l.spare[:0], list
	l.mu.Unlock()
	for i, f := range list {
		f()
		list[i] = nil
	}
}

// longestSleep lets Alive tell a quiet loop from a stuck one.
const longestSleep = 1_000_000_000

// serve is the loop. The driver is made on its thread: io_uring wants that.
func (l *loop) serve(ready chan<- error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	drv, err := newDriver(l.proxy.cfg.Driver, l, l.log)
	if err != nil {
		ready <- err
		return err
	}
	l.mu.Lock()
	l.drv = drv
	l.mu.Unlock()
	defer drv.close()
	for _, ep := range l.lns {
		if err := drv.add(ep); err != nil {
			ready <- err
			return err
		}
	}
	ready <- nil
	for !l.stopped {
		if err := l.turn(); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) turn() error {
	wait := min(longestSleep, l.sleep())
	if err := l.drv.turn(wait); err != nil {
		return err
	}
	l.settle()
	return nil
}

// settle does what the events of a turn led to.
func (l *loop) settle() {
	l.tick()
	l.woken()
	for len(l.run)+len(l.settled)+len(l.sealed) > 0 {
		for len(l.sealed) > 0 {
			ep := l.sealed[len(l.sealed)-1]
			l.sealed = l.sealed[:len(l.sealed)-1]
			l.decipher(ep, nil)
		}
		for len(l.settled) > 0 {
			s := l.settled[len(l.settled)-1]
			l.settled = l.settled[:len(l.settled)-1]
			s.listed = false
			l.boundary(s)
		}
		for i := 0; i < len(l.run); i++ {
			l.proceed(l.run[i])
		}
		clear(l.run)
		l.run = l.run[:0]
	}
}

func (l *loop) tick() {
	l.now = l.proxy.now()
	l.turned.Store(l.now)
	l.wheel.advance(l.now)
	if l.id != 0 {
		return
	}
	for _, up := range l.proxy.pools.hosts() {
		if next := up.host.NextTick(); next <= l.now {
			dirs := l.takeDirs()
			dirs = up.host.Tick(l.now, dirs)
			l.carry(dirs)
			l.giveDirs(dirs)
		}
	}
}

// sleep is how long nothing is due, in ns.
func (l *loop) sleep() int64 {
	wait := l.wheel.next(l.now)
	if wait < 0 {
		wait = longestSleep
	}
	if l.id == 0 {
		for _, up := range l.proxy.pools.hosts() {
			wait = min(wait, max(up.host.NextTick()-l.now, 0))
		}
	}
	return wait
}

// takeDirs lends a slice for a schedule call; calls nest.
func (l *loop) takeDirs() []schedule.Directive {
	if n := len(l.dirs); n > 0 {
		d := l.dirs[n-1]
		l.dirs = l.dirs[:n-1]
		return d
	}
	return make([]schedule.Directive, 0, 8)
}

func (l *loop) giveDirs(d []schedule.Directive) {
	clear(d)
	l.dirs = append(l.dirs, d[:0])
}

// buffer lends an empty buffer for what an endpoint keeps; recycle takes it back.
func (l *loop) buffer() []byte {
	if n := len(l.bufs); n > 0 {
		b := l.bufs[n-1]
		l.bufs = l.bufs[:n-1]
		return b
	}
	return make([]byte, 0, 4096)
}

func (l *loop) recycle(b []byte) {
	if cap(b) >= 512 && cap(b) <= 16<<10 && len(l.bufs) < 256 {
		l.bufs = append(l.bufs, b[:0])
	}
}

// carry does what the schedule asks; what concerns another loop is sent there.
func (l *loop) carry(dirs []schedule.Directive) {
	for i := range dirs {
		d := dirs[i]
		if at := d.From; at != l.id {
			l.proxy.loops[at].post(func() { l.proxy.loops[at].obey(d) })
			continue
		}
		l.obey(d)
	}
	if l.id != 0 && len(dirs) > 0 {
		l.proxy.loops[0].drv.wake() // it keeps the hosts' clock
	}
}

// carry is loop.carry for callers that are no loop.
func (p *Proxy) carry(dirs []schedule.Directive) {
	for i := range dirs {
		d := dirs[i]
		l := p.loops[d.From]
		l.post(func() { l.obey(d) })
	}
	if len(p.loops) > 0 && p.loops[0].drv != nil {
		p.loops[0].drv.wake()
	}
}

func (l *loop) obey(d schedule.Directive) {
	switch d.Kind {
	case schedule.Grant:
		l.granted(d)
	case schedule.Open:
		l.proxy.connect(l, d.Pool, d.Server)
	case schedule.Close:
		if s, ok := d.Server.Data.(*server); ok {
			l.closeServer(s, d.Reason.String())
		} else {
			l.host(d.Pool, func(h *schedule.Host, out []schedule.Directive) []schedule.Directive {
				return h.Gone(l.now, d.Server, out)
			})
		}
	case schedule.Fail:
		if c, ok := d.Waiter.Data.(*client); ok {
			l.unserved(c, d.Reason)
		}
	case schedule.Reclaim:
		if s, ok := d.Server.Data.(*server); ok {
			l.reclaim(s, d.Lease)
		}
	}
}

// host calls into a pool's schedule and carries out the answer.
func (l *loop) host(p *schedule.Pool, call func(*schedule.Host, []schedule.Directive) []schedule.Directive) {
	pl := l.proxy.pools.find(p)
	if pl == nil {
		return
	}
	dirs := call(pl.up.host, l.takeDirs())
	l.carry(dirs)
	l.giveDirs(dirs)
}

// Callbacks of the driver.

func (l *loop) received(ep *endpoint, b []byte) {
	if ep.tls != nil {
		l.decipher(ep, b)
		return
	}
	l.data(ep, b)
}

func (l *loop) data(ep *endpoint, b []byte) {
	switch ep.role {
	case roleClient:
		l.fromClient(ep.ofClient(), b)
	case roleServer:
		l.fromServer(ep.ofServer(), b)
	case roleListener: // has no data
	}
}

// hungUp: what a peer said before its end comes first. A server's last words
// wait for a client that takes no more for now; a client's do not.
func (l *loop) hungUp(ep *endpoint, err error) {
	server := ep.role == roleServer
	switch {
	case ep.tls != nil && ep.deciphered() && (server || ep.stops == 0):
		ep.tls.feed.fail(err)
		l.decipher(ep, nil)
	case server && ep.stops != 0:
		ep.ofServer().ended = err
	default:
		l.gone(ep, err)
	}
}

func (l *loop) gone(ep *endpoint, err error) {
	switch ep.role {
	case roleClient:
		l.clientGone(ep.ofClient(), err)
	case roleServer:
		l.serverGone(ep.ofServer(), err)
	case roleListener:
		l.log.Warn("accepting a client failed", "error", err)
	}
}

func (l *loop) drained(ep *endpoint) {
	if ep.stops&stopDone != 0 && ep.pending() == 0 {
		l.finish(ep)
		return
	}
	if !ep.congested {
		return
	}
	ep.congested = false
	if peer := ep.peer(); peer != nil {
		l.unstop(peer, stopPeer)
	}
}

// peer is the other half of a lease.
func (ep *endpoint) peer() *endpoint {
	switch ep.role {
	case roleClient:
		if s := ep.ofClient().srv; s != nil {
			return &s.endpoint
		}
	case roleServer:
		if c := ep.ofServer().client; c != nil {
			return &c.endpoint
		}
	case roleListener: // has none
	}
	return nil
}

// send gives bytes to an endpoint and stops its peer when they pile up.
func (l *loop) send(ep *endpoint, b []byte) {
	if len(b) == 0 || ep.closed {
		return
	}
	if ep.tls != nil {
		l.encipher(ep, b)
	} else {
		l.drv.send(ep, b)
	}
	if ep.pending() > highWater && !ep.congested {
		if peer := ep.peer(); peer != nil {
			ep.congested = true
			peer.stops |= stopPeer
		}
	}
}

func (l *loop) stop(ep *endpoint, why stop) { ep.stops |= why }

// unstop lifts one stop; with the last one the endpoint goes on with what it
// has, then with what comes.
func (l *loop) unstop(ep *endpoint, why stop) {
	if ep.stops&why == 0 || ep.closed {
		return
	}
	ep.stops &^= why
	if ep.stops != 0 {
		return
	}
	if len(ep.in) > 0 {
		l.data(ep, nil)
	}
	if !ep.closed && ep.stops == 0 && ep.role == roleServer && ep.ofServer().ended != nil {
		l.gone(ep, ep.ofServer().ended)
		return
	}
	if !ep.closed && ep.stops == 0 {
		if ep.tls != nil { // not here: its plaintext may be under way above us
			l.sealed = append(l.sealed, ep)
		}
		l.drv.resume(ep)
	}
}

// finish closes an endpoint whose last words are sent.
func (l *loop) finish(ep *endpoint) {
	if ep.closed {
		return
	}
	ep.closed = true
	l.recycle(ep.in)
	ep.in = nil
	l.drv.remove(ep)
}

// part sends what is pending and closes behind it.
func (l *loop) part(ep *endpoint) {
	if ep.pending() == 0 || ep.hung {
		l.finish(ep)
		return
	}
	ep.stops |= stopDone
	l.wheel.arm(&timer{owner: leaving{l, ep}}, l.now+partingLimit)
}

// partingLimit is how long a peer may take to read its last words, in ns.
const partingLimit = 10_000_000_000

// leaving is an endpoint whose peer is still to read.
type leaving struct {
	loop *loop
	ep   *endpoint
}

func (e leaving) expire(int64) int64 {
	e.ep.hung = true // no further attempt
	e.loop.finish(e.ep)
	return 0
}

// keepIn stores what was not taken of the bytes at hand. b is either new, or
// ep.in itself with the new behind it.
func (l *loop) keepIn(ep *endpoint, b []byte, taken int) {
	rest := b[taken:]
	if len(ep.in) > 0 {
		if len(rest) == 0 {
			l.recycle(ep.in)
			ep.in = nil
			return
		}
		ep.in = ep.in[:copy(ep.in[:cap(ep.in)], rest)]
		return
	}
	if len(rest) > 0 {
		ep.in = append(l.buffer(), rest...)
	}
}

// join puts new bytes behind what was kept.
func (ep *endpoint) join(b []byte) []byte {
	if len(ep.in) == 0 {
		return b
	}
	ep.in = append(ep.in, b...)
	return ep.in
}

// shut ends the loop and everything in it.
func (l *loop) shut() {
	for c := range l.clients {
		l.endClient(c, poolerShutdown, "")
	}
	for s := range l.servers {
		l.closeServer(s, "shutdown")
	}
	for _, ep := range l.lns {
		l.finish(ep)
	}
	l.stopped = true
}

// protocolFailure is what the log says of a peer that sends nonsense.
func protocolFailure(b []byte, limit int) string { return wire.LengthError(b, limit).Error() }
