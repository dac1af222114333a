package schedule

import (
	"testing"
	"time"
)

func TestNominalShares(t *testing.T) {
	for _, tt := range []struct {
		usable int
		shares []int
		want   []int
	}{
		{100, []int{50, 10, 40}, []int{50, 10, 40}},
		{85, []int{50, 5, 10}, []int{66, 7, 14}},
		{10, []int{1, 1, 1}, []int{4, 4, 4}},
		{1, []int{1, 99}, []int{1, 1}},
		{10, []int{0, 0}, []int{0, 0}},
		{0, []int{1, 1}, []int{0, 0}},
	} {
		cfg := HostConfig{Usable: tt.usable}
		for i, s := range tt.shares {
			cfg.Workloads = append(cfg.Workloads, WorkloadConfig{Name: string(rune('a' + i)), Share: s})
		}
		h := NewHost(cfg)
		for i, want := range tt.want {
			if got := h.workloads[i].nominal; got != want {
				t.Errorf("%d slots, shares %v: %d has %d, want %d", tt.usable, tt.shares, i, got, want)
			}
		}
	}
}

// three workloads on ten slots: api 5, batch 1, default 4.
func three(mode Mode) HostConfig {
	return HostConfig{Usable: 10, Connect: quick, Workloads: []WorkloadConfig{
		{Name: "api", Class: Critical, Mode: mode, Share: 5, Lendable: 0.4, Borrow: 1},
		{Name: "batch", Class: Batch, Mode: mode, Share: 1, Lendable: 1, Borrow: -1, Limit: 7},
		{Name: DefaultWorkload, Mode: mode, Share: 4, Lendable: 1, Borrow: 0.5},
	}}
}

func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		clients string
		want    int // servers it gets alone on the host
	}{
		{"limit and what api keeps", "batch", 7},
		{"nominal and half of it borrowed", DefaultWorkload, 6},
		{"all", "api", 10},
	} {
		w := newWorld(t, three(Enforce))
		p := w.pool(PoolConfig{})
		for range 20 {
			w.clientOf(p, tt.clients)
			w.settle()
		}
		eq(t, tt.name, w.workload(tt.clients).InUse, tt.want)
		eq(t, tt.name+": waiting", w.workload(tt.clients).Waiting, 20-tt.want)
	}
}

func TestWhatIsNotLentIsKeptFree(t *testing.T) {
	cfg := three(Enforce)
	cfg.Workloads[1].Limit = 0
	w := newWorld(t, cfg)
	p := w.pool(PoolConfig{})
	for range 20 {
		w.clientOf(p, "batch")
		w.settle()
	}
	eq(t, "batch", w.workload("batch").InUse, 7) // api keeps 3 of its 5
	for range 3 {
		x := w.clientOf(p, "api")
		w.settle()
		eq(t, "api at once", w.server(x) != nil, true)
	}
	eq(t, "batch unharmed", w.workload("batch").InUse, 7)
}

func TestGuaranteeGetsTheNextSlot(t *testing.T) {
	for _, pools := range []string{"one pool", "a pool each"} {
		w := newWorld(t, HostConfig{Usable: 4, Connect: quick, Workloads: []WorkloadConfig{
			{Name: "api", Class: Batch, Mode: Enforce, Share: 1, Lendable: 1, Borrow: -1},
			{Name: "hog", Class: Critical, Mode: Enforce, Share: 1, Lendable: 1, Borrow: -1},
		}})
		p := w.pool(PoolConfig{})
		q := p
		if pools == "a pool each" {
			q = w.pool(PoolConfig{})
		}
		for range 10 {
			w.clientOf(p, "hog")
			w.settle()
		}
		eq(t, "hog borrows", w.workload("hog").Borrowed, 2)
		x, y := w.clientOf(q, "api"), w.clientOf(q, "api")
		w.now += 200 * ms
		w.release(w.order[0])
		w.settle()
		eq(t, pools+": first", w.server(x) != nil, true)
		w.release(w.order[0])
		w.settle()
		eq(t, pools+": second", w.server(y) != nil, true)
		z := w.clientOf(q, "api")
		w.release(w.order[0])
		w.settle()
		eq(t, pools+": no more than guaranteed before a critical borrower", w.server(z) == nil, true)
	}
}

func TestReclaimNamesBatchWorkOnALentSlot(t *testing.T) {
	w := newWorld(t, three(Enforce))
	p := w.pool(PoolConfig{})
	for range 7 {
		w.clientOf(p, "batch")
		w.settle()
		w.now += 10 * ms
	}
	for range 3 {
		w.clientOf(p, DefaultWorkload)
		w.settle()
	}
	x := w.clientOf(p, "api")
	w.run(900 * time.Millisecond)
	eq(t, "before the grace", len(w.reclaim), 0)
	w.run(200 * time.Millisecond)
	eq(t, "after the grace", len(w.reclaim), 1)
	s := w.reclaim[0]
	eq(t, "whose", w.held[s].Workload.Name(), "batch")
	eq(t, "the least work lost", s, w.order[6])
	w.run(time.Second)
	eq(t, "asked once", len(w.reclaim), 1)
	w.release(s)
	eq(t, "to its owner", w.held[s], x)
	eq(t, "settled", w.h.Workload("api").reclaiming+w.h.Workload("batch").yielding, 0)
}

func TestReclaimCountsWhatIsComing(t *testing.T) {
	w := newWorld(t, three(Enforce))
	p, q := w.pool(PoolConfig{}), w.pool(PoolConfig{})
	for range 7 {
		w.clientOf(p, "batch")
		w.settle()
	}
	for range 2 {
		w.clientOf(p, DefaultWorkload)
		w.settle()
	}
	w.clientOf(q, "api")
	eq(t, "login under way", len(w.opens), 1)
	w.tick(3 * time.Second)
	eq(t, "reclaims", len(w.reclaim), 0)
}

func TestReclaimSparesOthers(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*HostConfig)
	}{
		{"normal class", func(c *HostConfig) { c.Workloads[1].Class = Normal }},
		{"warn", func(c *HostConfig) { c.Workloads[1].Mode = Warn }},
		{"off", func(c *HostConfig) { c.ReclaimGrace = -1 }},
		{"within its own share", func(c *HostConfig) { c.Workloads[1].Share = 100 }},
	} {
		cfg := three(Enforce)
		tt.edit(&cfg)
		w := newWorld(t, cfg)
		p := w.pool(PoolConfig{Max: 4})
		for range 4 {
			w.clientOf(p, "batch")
			w.settle()
		}
		w.clientOf(p, "api")
		w.run(3 * time.Second)
		eq(t, tt.name, len(w.reclaim), 0)
	}
}

func TestQueueBounds(t *testing.T) {
	for _, mode := range []Mode{Off, Warn, Enforce} {
		w := newWorld(t, HostConfig{Usable: 1, Workloads: []WorkloadConfig{{Name: "job", Mode: mode, QueueMax: 2, Borrow: -1}}})
		p := w.pool(PoolConfig{})
		w.openOne(p)
		var last *Waiter
		for range 4 {
			last = w.clientOf(p, "job")
		}
		st := w.workload("job")
		eq(t, "refused", last.Refusal == QueueFull, mode == Enforce)
		eq(t, "waiting", st.Waiting, map[Mode]int{Off: 4, Warn: 4, Enforce: 2}[mode])
		eq(t, "shed", st.Shed, map[Mode]uint64{Enforce: 2}[mode])
		eq(t, "would shed", st.WouldShed, map[Mode]uint64{Warn: 2}[mode])
	}
}

func TestWaitThatWouldTakeTooLongIsRefused(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 1, Workloads: []WorkloadConfig{
		{Name: "job", Mode: Enforce, Share: 1, QueueTimeout: 2 * time.Second, Borrow: -1},
	}})
	p := w.pool(PoolConfig{})
	x := w.clientOf(p, "job")
	w.settle()
	s := w.server(x)
	for range 100 { // transactions of 1 s
		w.now += 1000 * ms
		w.release(s)
		w.clientOf(p, "job")
	}
	a, b, c := w.clientOf(p, "job"), w.clientOf(p, "job"), w.clientOf(p, "job")
	eq(t, "0 s ahead", a.Refusal, NoReason)
	eq(t, "1 s ahead", b.Refusal, NoReason)
	eq(t, "2 s ahead", c.Refusal, NoReason)
	d := w.clientOf(p, "job")
	eq(t, "3 s ahead", d.Refusal, WaitTooLong)
}

func TestWarnCountsAndDoesNothing(t *testing.T) {
	cfg := three(Warn)
	cfg.Workloads[1].Limit = 2
	w := newWorld(t, cfg)
	p := w.pool(PoolConfig{})
	for range 10 {
		w.clientOf(p, "batch")
		w.settle()
	}
	st := w.workload("batch")
	eq(t, "in use", st.InUse, 10)
	eq(t, "would have waited", st.WouldWait, 8)
}

func TestPausedWorkload(t *testing.T) {
	for _, pause := range []Pausing{PauseQueue, PauseRefuse} {
		cfg := three(Enforce)
		w := newWorld(t, cfg)
		p := w.pool(PoolConfig{})
		w.idle(p, 2)
		cfg.Workloads[1].Pause = pause
		w.obey(w.h.Configure(w.now, cfg, nil))
		x := w.clientOf(p, "batch")
		eq(t, "refused", x.Refusal == WorkloadPaused, pause == PauseRefuse)
		eq(t, "no server", w.server(x) == nil, true)
		eq(t, "others go on", w.server(w.clientOf(p, "api")) != nil, true)
		cfg.Workloads[1].Pause = NotPaused
		w.obey(w.h.Configure(w.now, cfg, nil))
		eq(t, "served after", w.server(x) != nil, pause == PauseQueue)
	}
}

func TestLimitChangesAtOnce(t *testing.T) {
	cfg := three(Enforce)
	cfg.Workloads[1].Limit = 1
	w := newWorld(t, cfg)
	p := w.pool(PoolConfig{})
	for range 3 {
		w.clientOf(p, "batch")
		w.settle()
	}
	eq(t, "limit", w.workload("batch").InUse, 1)
	cfg.Workloads[1].Limit = 2
	w.obey(w.h.Configure(w.now, cfg, nil))
	w.settle()
	eq(t, "raised", w.workload("batch").InUse, 2)
}

func TestWorkloadThatGoesAway(t *testing.T) {
	cfg := three(Enforce)
	w := newWorld(t, cfg)
	p := w.pool(PoolConfig{})
	old := w.h.Workload("batch")
	w.server(w.clientOf(p, "batch"))
	w.settle()
	s := w.order[0]
	cfg.Workloads = cfg.Workloads[:1]
	w.obey(w.h.Configure(w.now, cfg, nil))
	eq(t, "by name", w.h.Workload("batch") == nil, true)
	eq(t, "still counted", w.stat().Active, 1)
	w.release(s)
	x := &Waiter{Workload: old}
	w.acquire(p, x)
	eq(t, "falls to default", w.workload(DefaultWorkload).InUse, 1)
	w.obey(w.h.Configure(w.now, cfg, nil))
	eq(t, "forgotten", len(w.h.workloads), 2)
}

func TestOperatorsNeverWaitBehindOthers(t *testing.T) {
	w := newWorld(t, HostConfig{Usable: 2, Operator: 2, Connect: Pace{Parallel: 1, PerSecond: 0.01, Burst: 2}})
	p := w.pool(PoolConfig{})
	op1 := w.pool(PoolConfig{Operator: true, Min: 1})
	op2 := w.pool(PoolConfig{Operator: true})
	w.openOne(p)
	w.openOne(p)
	for range 100 {
		w.client(p)
	}
	w.tick(10 * time.Millisecond)
	w.settle()
	a := w.client(op1)
	eq(t, "warm one at once", w.server(a) != nil, true)
	b := w.client(op2)
	w.settle()
	eq(t, "another database, no token left", w.server(b) != nil, true)
	w.release(w.server(a))
	c := w.client(op2)
	w.settle()
	eq(t, "an idle operator server makes room at once", w.server(c) != nil, true)
	eq(t, "nothing lent", w.stat().Active, 2)
	w.release(w.server(b))
	eq(t, "still nothing lent", w.stat().Active, 2)
}

func TestSnapshotAttributesWhatIsLent(t *testing.T) {
	cfg := three(Enforce)
	w := newWorld(t, cfg)
	p := w.pool(PoolConfig{Name: "p"})
	for range 7 {
		w.clientOf(p, "batch")
		w.settle()
	}
	w.clientOf(p, "batch")
	w.now += 500 * ms
	st := w.stat()
	eq(t, "nominal", w.workload("batch").Nominal, 1)
	eq(t, "borrowed", w.workload("batch").Borrowed, 6)
	eq(t, "lent", w.workload("api").Lent+w.workload(DefaultWorkload).Lent, 5) // 3⅓ and 2⅔, each rounded down
	eq(t, "oldest of the workload", w.workload("batch").Oldest, 500*time.Millisecond)
	eq(t, "oldest of the pool", st.Pools[0].Oldest, 500*time.Millisecond)
	eq(t, "waiting", st.Waiting, 1)
	for r := NoReason; r <= SlotReclaimed+1; r++ {
		eq(t, "named", r.String() != "", true)
	}
}
