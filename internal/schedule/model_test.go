package schedule

import (
	"math"
	"math/big"
	"sort"
)

// model is the naive twin of a Host: flat lists, everything counted anew each time it is asked. It follows the logins and
// closes the Host asks for, and says on its own who must be granted what.
type model struct {
	t       failer
	h       *Host
	now     int64
	servers []*modelServer
	waiters []*modelWaiter // in order of arrival
	works   []*modelWork
	floor   *big.Rat
	grace   int64
	paused  map[*Pool]bool
	retired map[*Server]bool
	pace    modelPace
	// loose is the server that was just released or logged in: the one a rival may claim.
	loose *Server
}

type modelServer struct {
	s      *Server
	state  State
	since  int64
	opened int64
	work   *Workload
	claim  *lane // Opening, Closing: whom it comes for; nil for nobody
}

type modelWaiter struct {
	w     *Waiter
	p     *Pool
	work  *Workload
	since int64
	// passed counts how often a later waiter of the same lane and identity went first.
	passed int
}

type modelWork struct {
	w    *Workload
	used *big.Int // slot-time while anybody waited
}

func newModel(t failer, h *Host, now int64) *model {
	return &model{t: t, h: h, now: now, floor: new(big.Rat), grace: max(0, int64(h.cfg.EvictGrace)),
		paused: map[*Pool]bool{}, retired: map[*Server]bool{}}
}

// advance integrates slot-time up to now.
func (m *model) advance(now int64) {
	if now <= m.now {
		return
	}
	if len(m.waiters) > 0 {
		for _, k := range m.works {
			k.used.Add(k.used, big.NewInt((now-m.now)*int64(m.inUse(k.w))))
		}
	}
	m.now = now
}

func (m *model) work(w *Workload) *modelWork {
	for _, k := range m.works {
		if k.w == w {
			return k
		}
	}
	k := &modelWork{w, new(big.Int)}
	m.works = append(m.works, k)
	return k
}

func (m *model) virtual(w *Workload) *big.Rat {
	return new(big.Rat).SetFrac(m.work(w).used, big.NewInt(int64(max(1, w.cfg.Share))))
}

func (m *model) find(s *Server) *modelServer {
	for _, x := range m.servers {
		if x.s == s {
			return x
		}
	}
	return nil
}

func (m *model) count(match func(*modelServer) bool) (n int) {
	for _, x := range m.servers {
		if match(x) {
			n++
		}
	}
	return n
}

func (m *model) inUse(w *Workload) int {
	return m.count(func(x *modelServer) bool { return x.state == Active && x.work == w })
}

// held is how many shared slots must stay free for workloads that do not lend them.
func (m *model) held() (n int) {
	for _, w := range m.h.workloads {
		if w.cfg.Mode == Enforce && w.cfg.Pause == NotPaused {
			keep := m.quota(w) - int(math.Round(float64(m.nominal(w))*min(max(w.cfg.Lendable, 0), 1)))
			n += max(0, keep-m.inUse(w))
		}
	}
	return n
}

func (m *model) nominal(w *Workload) int {
	shares := 0
	for _, o := range m.h.workloads {
		shares += o.cfg.Share
	}
	if shares == 0 {
		return 0
	}
	return int(math.Ceil(float64(m.h.shared.size) * float64(w.cfg.Share) / float64(shares)))
}

// bound is the most slots w may hold.
func (m *model) bound(w *Workload) int {
	c := w.cfg
	if c.Pause != NotPaused {
		return 0
	}
	if c.Mode != Enforce || w == m.h.operators {
		return math.MaxInt
	}
	top := math.MaxInt
	if c.Limit > 0 {
		top = c.Limit
	}
	if c.Borrow >= 0 {
		top = min(top, m.nominal(w)+int(math.Round(c.Borrow*float64(m.nominal(w)))))
	}
	return top
}

// quota is what w is guaranteed.
func (m *model) quota(w *Workload) int {
	if w.cfg.Mode != Enforce || w == m.h.operators {
		return 0
	}
	return min(m.nominal(w), m.bound(w))
}

// admits says whether w may hold one slot more.
func (m *model) admits(w *Workload) bool {
	if w == m.h.operators {
		return true
	}
	n := m.inUse(w)
	if n >= m.bound(w) {
		return false
	}
	active := m.count(func(x *modelServer) bool { return x.state == Active && !x.s.Pool.cfg.Operator })
	return n < m.quota(w) || active+m.held() < m.h.shared.size
}

// tier is the rank of w's next waiter.
func (m *model) tier(w *Workload) int {
	order := map[Class]int{Critical: 0, Normal: 1, Batch: 2}[w.cfg.Class]
	switch {
	case w == m.h.operators:
		return 0
	case m.inUse(w) < m.quota(w):
		return 1 + order
	case w.cfg.Mode != Enforce:
		return 5
	}
	return 4 + order
}

// head is the first waiter of the lane of c.
func (m *model) head(c *modelWaiter) *modelWaiter {
	for _, o := range m.waiters {
		if o.p == c.p && o.work == c.work {
			return o
		}
	}
	return nil
}

// ahead says whether the lane of a goes before that of b.
func (m *model) ahead(a, b *modelWaiter, grace int64) bool {
	if a.work != b.work {
		if x, y := m.tier(a.work), m.tier(b.work); x != y {
			return x < y
		}
		va, vb := m.virtual(a.work), m.virtual(b.work)
		if va.Cmp(vb) != 0 {
			extra := big.NewRat(grace, int64(max(1, a.work.cfg.Share)))
			return va.Add(va, extra).Cmp(vb) < 0
		}
	}
	ha, hb := m.head(a), m.head(b)
	if grace > 0 {
		return ha.since+grace < hb.since
	}
	return m.place(ha) < m.place(hb)
}

func (m *model) place(c *modelWaiter) int {
	for i, o := range m.waiters {
		if o == c {
			return i
		}
	}
	return -1
}

// candidates are the waiters that could take s now: the first of each lane that fits it, best first.
func (m *model) candidates(s *Server) (list []*modelWaiter) {
	if m.paused[s.Pool] {
		return nil
	}
	seen := map[*Workload]bool{}
	for _, c := range m.waiters {
		if c.p == s.Pool && c.w.Fit == s.Fit && !seen[c.work] && m.admits(c.work) {
			seen[c.work] = true
			list = append(list, c)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return m.ahead(list[i], list[j], 0) })
	return list
}

// coming is how many servers are under way for the lane of c.
func (m *model) coming(c *modelWaiter) int {
	return m.count(func(x *modelServer) bool {
		return x.claim != nil && x.claim.work == c.work && x.claim.pool == c.p
	})
}

func (m *model) comingTo(w *Workload) int {
	return m.count(func(x *modelServer) bool {
		return x.claim != nil && x.claim.work == w
	})
}

// room is how many slots w may take one after another.
func (m *model) room(w *Workload) int {
	if w == m.h.operators {
		return math.MaxInt
	}
	active := m.count(func(x *modelServer) bool { return x.state == Active && !x.s.Pool.cfg.Operator })
	n, held := m.inUse(w), m.held()
	keep := 0
	if w.cfg.Mode == Enforce && w.cfg.Pause == NotPaused {
		keep = max(0, m.quota(w)-int(math.Round(float64(m.nominal(w))*min(max(w.cfg.Lendable, 0), 1))))
	}
	got := 0
	for ; n < m.bound(w) && (n < m.quota(w) || active+held < m.h.shared.size) && got < 1000; got++ {
		if n < keep {
			held--
		}
		n++
		active++
	}
	return got
}

// needs says whether the lane of c could use one server more than is coming.
func (m *model) needs(c *modelWaiter) bool {
	waiting := 0
	for _, o := range m.waiters {
		if o.p == c.p && o.work == c.work {
			waiting++
		}
	}
	return waiting > m.coming(c) && m.room(c.work) > m.comingTo(c.work)
}

// shut says what keeps p from opening one server more.
func (m *model) shut(p *Pool, head *modelWaiter) block {
	of := func(match func(*Pool) bool) int {
		return m.count(func(x *modelServer) bool { return match(x.s.Pool) })
	}
	n := of(func(q *Pool) bool { return q == p })
	if p.cfg.Max > 0 && n >= p.cfg.Max {
		late := head != nil && m.now-head.since >= int64(p.cfg.ReserveAfter)
		if !late || n >= p.cfg.Max+p.cfg.Reserve {
			return poolFull
		}
	}
	if c := p.cfg.Database; c != nil && c.max.Load() > 0 && of(func(q *Pool) bool { return q.cfg.Database == c }) >= int(c.max.Load()) {
		return databaseFull
	}
	if c := p.cfg.User; c != nil && c.max.Load() > 0 && of(func(q *Pool) bool { return q.cfg.User == c }) >= int(c.max.Load()) {
		return userFull
	}
	size := m.h.shared.size
	if p.cfg.Operator {
		size = m.h.reserved.size
	}
	if of(func(q *Pool) bool { return q.cfg.Operator == p.cfg.Operator }) >= size {
		return slotsFull
	}
	return free
}
