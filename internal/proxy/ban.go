package proxy

import (
	"fmt"
	"sync"
	"sync/atomic"

	"spillway/internal/session"
	"spillway/internal/statement"
	"spillway/internal/wire"
)

// barrier is a ban with its count; shared by the loops and immutable but for that.
type barrier struct {
	Ban
	*tally
}

// tally counts what a ban did. It outlives the policies that name the ban.
type tally struct {
	running atomic.Int64 // under a cap
	refused atomic.Uint64
}

// tallies keep the counts by fingerprint.
type tallies struct {
	mu sync.Mutex // guards byPrint
	// byPrint holds the bans in force and those of which something still runs.
	byPrint map[uint64]*tally
}

// barriers are the bans of a policy by fingerprint; nil where there are none,
// which is what makes them free.
func (t *tallies) barriers(bans []Ban) map[uint64]*barrier {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := map[uint64]*tally{}
	for print, count := range t.byPrint {
		if count.running.Load() > 0 {
			kept[print] = count
		}
	}
	var list map[uint64]*barrier
	for _, b := range bans {
		count := t.byPrint[b.Fingerprint]
		if count == nil {
			count = new(tally)
		}
		kept[b.Fingerprint] = count
		if list == nil {
			list = make(map[uint64]*barrier, len(bans))
		}
		list[b.Fingerprint] = &barrier{b, count}
	}
	t.byPrint = kept
	return list
}

// BanStat tells what a ban has done.
type BanStat struct {
	Fingerprint uint64
	Max         int
	Running     int    // under a cap: now
	Refused     uint64 // since it was first in force
}

// Bans are those in force, in no order.
func (p *Proxy) Bans() []BanStat {
	rul := p.policy.Load()
	list := make([]BanStat, 0, len(rul.bans))
	for print, b := range rul.bans {
		list = append(list, BanStat{print, b.Max, int(b.running.Load()), b.refused.Load()})
	}
	return list
}

// barred looks at a message of a client while there are bans. It returns the
// error the client is to have, or how many bytes of the message must be in hand
// before that can be said.
func (l *loop) barred(c *client, rul *ruling, m *session.Msg) (rep *wire.Report, need int) {
	b, need := c.barrierOf(rul, m)
	if b == nil || need > 0 {
		return nil, need
	}
	text := "this statement is banned"
	if b.Max > 0 {
		if m.Kind == wire.Parse || b.admit(c) {
			return nil, 0
		}
		text = fmt.Sprintf("this statement may run %d times at once, and does", b.Max)
	}
	b.refused.Add(1)
	l.note(c, bannedStatement)
	return &wire.Report{Severity: "ERROR", Code: reasons[bannedStatement].code, Message: text,
		Detail: fmt.Sprintf("Its fingerprint is %016x.", b.Fingerprint), Hint: b.Text}, 0
}

// barrierOf is the ban that a message falls under; nil for none.
func (c *client) barrierOf(rul *ruling, m *session.Msg) (b *barrier, need int) {
	body := m.Raw[wire.HeaderSize:]
	switch m.Kind {
	case wire.Query:
		if need := min(m.Size, wire.HeaderSize+statement.MaxPrint); len(m.Raw) < need {
			return nil, need
		}
		return rul.bans[statement.Print(body)], 0
	case wire.Parse:
		_, text, ok := wire.CString(body)
		if !ok {
			return nil, 0 // the session says so
		}
		if need := min(m.Size, len(m.Raw)-len(text)+statement.MaxPrint); len(m.Raw) < need {
			return nil, need
		}
		if whole, _, ok := wire.CString(text); ok {
			text = whole
		}
		return rul.bans[statement.Print(text)], 0
	case wire.Bind:
		_, rest, ok := wire.CString(body)
		if !ok {
			return nil, 0
		}
		if name, _, ok := wire.CString(rest); ok {
			if st := c.sess.Statement(name); st != nil {
				return rul.bans[st.Print()], 0
			}
		}
	}
	return nil, 0
}

// admit counts a statement of c under a cap; false when the cap is reached. A
// client counts once, whatever its pipeline holds.
func (b *barrier) admit(c *client) bool {
	for _, t := range c.capped {
		if t == b.tally {
			return true
		}
	}
	if b.running.Add(1) > int64(b.Max) {
		b.running.Add(-1)
		return false
	}
	c.capped = append(c.capped, b.tally)
	return true
}

// uncount gives back what a client counted under caps: what it ran has ended.
func (c *client) uncount() {
	if len(c.capped) == 0 {
		return
	}
	for i, t := range c.capped {
		t.running.Add(-1)
		c.capped[i] = nil
	}
	c.capped = c.capped[:0]
}
