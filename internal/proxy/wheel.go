package proxy

// wheel is a hierarchical-free timer wheel: one level of slots a tick wide,
// and deadlines beyond its span wait in the slot they would reach and are put
// back. Deadlines are read from the owner when its slot comes, so moving one
// further away costs nothing.
type wheel struct {
	slots   [wheelSlots]timerList
	at      int64 // ticks since start, already served
	soonest int64 // no slot before this tick holds a timer
	n       int
}

const (
	wheelSlots = 1024
	wheelTick  = 10_000_000 // ns: how late a timeout may come
)

// timer is one armed deadline; embed it and keep it where it is.
type timer struct {
	next, prev *timer
	list       *timerList
	tick       int64 // when it comes up; 0 = not armed
	owner      timed
}

// timed is asked when a timer comes up: it returns its next deadline in ns of
// the loop's clock, 0 for none.
type timed interface{ expire(now int64) int64 }

type timerList struct{ first *timer }

func (l *timerList) push(t *timer) {
	t.list, t.prev, t.next = l, nil, l.first
	if l.first != nil {
		l.first.prev = t
	}
	l.first = t
}

func (t *timer) unlink() {
	if t.list == nil {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		t.list.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.list, t.next, t.prev, t.tick = nil, nil, nil, 0
}

// arm makes sure that t comes up at deadline or before; a t that comes up
// earlier anyway is left.
func (w *wheel) arm(t *timer, deadline int64) {
	tick := deadline/wheelTick + 1
	if tick <= w.at {
		tick = w.at + 1
	}
	if t.tick != 0 {
		if t.tick <= tick {
			return
		}
		w.disarm(t)
	}
	if tick-w.at >= wheelSlots {
		tick = w.at + wheelSlots - 1
	}
	w.slots[tick%wheelSlots].push(t)
	t.tick = tick
	if w.n == 0 || tick < w.soonest {
		w.soonest = tick
	}
	w.n++
}

func (w *wheel) disarm(t *timer) {
	if t.tick != 0 {
		t.unlink()
		w.n--
	}
}

// advance serves all slots up to now.
func (w *wheel) advance(now int64) {
	to := now / wheelTick
	if w.n == 0 || to < w.soonest {
		w.at = max(w.at, min(to, w.soonest-1))
		if w.n == 0 {
			w.at = to
		}
		return
	}
	for w.at < to {
		w.at++
		slot := &w.slots[w.at%wheelSlots]
		for slot.first != nil {
			t := slot.first
			w.disarm(t)
			if at := t.owner.expire(now); at > 0 {
				w.arm(t, at)
			}
		}
	}
	w.look()
}

// look finds the next slot that holds a timer.
func (w *wheel) look() {
	w.soonest = w.at + 1
	for w.n > 0 && w.slots[w.soonest%wheelSlots].first == nil {
		w.soonest++
	}
}

// next is how long the loop may sleep, in ns; -1 when nothing is armed.
func (w *wheel) next(now int64) int64 {
	if w.n == 0 {
		return -1
	}
	return max(w.soonest*wheelTick-now, 0)
}
