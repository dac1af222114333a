package notify

import (
	"time"

	"spillway/internal/notify/alarm"
)

// told is what an endpoint knows of a trouble.
type told string

// What an endpoint knows. After a request that failed nobody knows whether it
// was carried out.
const (
	toldNothing told = ""
	toldFiring  told = "firing"
	toldOver    told = "resolved"
	toldUnsure  told = "unsure"
	toldRefused told = "refused" // it took none of it, and is not asked again
)

// queued is one message to be sent.
type queued struct {
	Alarm    alarm.Alarm `json:"alarm"`
	At       time.Time   `json:"at"` // when it was queued
	Attempts int         `json:"attempts,omitempty"`
}

// thread is one key's messages in order. Only the first is ever in flight, and
// a newer state replaces what has not been tried, so at most three are kept: one
// in flight, a firing, and the resolve behind it.
type thread struct {
	Told    told        `json:"told,omitempty"`
	Level   alarm.Level `json:"level,omitempty"` // that the endpoint was told
	Latest  alarm.Alarm `json:"latest"`          // the last that was heard, for repetitions
	Pending []queued    `json:"pending,omitempty"`

	busy    bool      // the first of Pending is in flight
	turn    uint64    // lower goes first
	sent    time.Time // when the endpoint was last told
	carried bool      // from an earlier process, and not heard of since
}

// queue is what one endpoint still has to be told. It does no I/O and asks no
// clock; its owner guards it.
type queue struct {
	threads map[string]*thread
	most    int // keys
	repeat  time.Duration
	turns   uint64
	dropped uint64 // messages lost because the queue was full or they were too old
}

// Bounds of a queue.
const (
	// mostKeys are the troubles known to one endpoint at a time. A thousand at
	// once is no list for a person any more.
	mostKeys = 1000
	// giveUpAfter is how long a message is tried for.
	giveUpAfter = 24 * time.Hour
	// carriedFor is how long after a start a trouble of the process before may be
	// unheard of until it is called over. Detectors look at least once a minute.
	carriedFor = 10 * time.Minute
)

func newQueue(repeat time.Duration) *queue {
	return &queue{threads: map[string]*thread{}, most: mostKeys, repeat: repeat}
}

// take notes an alarm and reports whether anything is to be sent or kept that
// was not. wanted says whether the endpoint is for alarms like this; a trouble
// that it was told of is resolved in any case.
func (q *queue) take(a alarm.Alarm, wanted bool, now time.Time) bool {
	t := q.threads[a.Key]
	if t != nil && len(t.Pending) == 0 {
		q.turns++
		t.turn = q.turns // what has waited for longer goes first
	}
	if a.Status == alarm.Resolved {
		return t != nil && q.resolve(t, queued{Alarm: a, At: now})
	}
	if t == nil {
		if !wanted || !q.room(a) {
			return false
		}
		q.turns++
		t = &thread{turn: q.turns}
		q.threads[a.Key] = t
	}
	t.Latest, t.carried = a, false
	return wanted && t.fire(queued{Alarm: a, At: now})
}

// ahead is what the endpoint will know after the message in flight, and rest
// where the messages behind that one begin.
func (t *thread) ahead() (known told, level alarm.Level, rest int) {
	if !t.busy {
		return t.Told, t.Level, 0
	}
	first := t.Pending[0].Alarm
	return told(first.Status), first.Level, 1
}

// fire puts a firing behind what is in flight, unless the endpoint knows.
func (t *thread) fire(m queued) bool {
	known, level, rest := t.ahead()
	if (known == toldFiring || known == toldRefused) && m.Alarm.Level.Rank() <= level.Rank() {
		// It came back before anybody was told that it had gone.
		changed := len(t.Pending) > rest
		t.Pending = t.Pending[:rest]
		return changed
	}
	if len(t.Pending) > rest && t.Pending[rest].Alarm.Status == alarm.Firing {
		m.At, m.Attempts = t.Pending[rest].At, t.Pending[rest].Attempts
	}
	t.Pending = append(t.Pending[:rest], m)
	return true
}

// resolve puts a resolve behind everything, once, and forgets a trouble that the
// endpoint knows nothing of.
func (q *queue) resolve(t *thread, m queued) bool {
	added := t.resolve(m)
	q.settle(m.Alarm.Key, t)
	return added
}

func (t *thread) resolve(m queued) bool {
	known, _, rest := t.ahead()
	t.Latest = m.Alarm
	if last := len(t.Pending) - 1; last >= rest {
		if t.Pending[last].Alarm.Status == alarm.Firing {
			t.Pending = append(t.Pending, m)
			return true
		}
		return false
	}
	if known != toldFiring && known != toldUnsure {
		return false
	}
	t.Pending = append(t.Pending, m)
	return true
}

// room makes place for a new key. In a full queue a page displaces the oldest
// warning that was not told yet; anything else has to go.
func (q *queue) room(a alarm.Alarm) bool {
	if len(q.threads) < q.most {
		return true
	}
	victim, oldest := "", uint64(0)
	for key, t := range q.threads {
		free := !t.busy && t.Told == toldNothing && t.Latest.Level.Rank() < alarm.Page.Rank()
		if free && (victim == "" || t.turn < oldest) {
			victim, oldest = key, t.turn
		}
	}
	q.dropped++
	if victim == "" || a.Level != alarm.Page {
		return false
	}
	delete(q.threads, victim)
	return true
}

// next chooses the message to send now and marks it as in flight; the caller
// answers with delivered, failed or refused. Nil when there is nothing.
func (q *queue) next(now time.Time) (string, *queued) {
	key := ""
	var first *thread
	for k, t := range q.threads {
		t.repeatIfDue(q.repeat, now)
		if len(t.Pending) > 0 && !t.busy && (first == nil || t.turn < first.turn) {
			key, first = k, t
		}
	}
	if first == nil {
		return "", nil
	}
	first.busy = true
	m := first.Pending[0]
	return key, &m
}

// repeatIfDue queues what the endpoint knows once more.
func (t *thread) repeatIfDue(every time.Duration, now time.Time) {
	if every > 0 && t.Told == toldFiring && len(t.Pending) == 0 && now.Sub(t.sent) >= every {
		t.Pending = append(t.Pending, queued{Alarm: t.Latest, At: now})
	}
}

// delivered: the message in flight was taken.
func (q *queue) delivered(key string, now time.Time) {
	t := q.threads[key]
	first := q.pop(t)
	t.Told, t.Level, t.sent = told(first.Alarm.Status), first.Alarm.Level, now
	if t.Told == toldOver {
		t.Level = ""
	}
	q.settle(key, t)
}

// failed: nobody knows what became of the message in flight; it is tried again
// after the others, unless it is too old. lost says that it was given up.
func (q *queue) failed(key string, now time.Time) (lost bool) {
	t := q.threads[key]
	t.Told, t.Level = toldUnsure, ""
	if now.Sub(t.Pending[0].At) > giveUpAfter {
		q.pop(t)
		q.dropped++
		q.settle(key, t)
		return true
	}
	t.busy = false
	t.Pending[0].Attempts++
	q.turns++
	t.turn = q.turns
	return false
}

// refused: the message in flight will never be taken.
func (q *queue) refused(key string) {
	t := q.threads[key]
	first := q.pop(t)
	q.dropped++
	if t.Told != toldFiring && first.Alarm.Status == alarm.Firing {
		t.Told, t.Level = toldRefused, first.Alarm.Level
	}
	if t.Told == toldRefused && len(t.Pending) > 0 && t.Pending[0].Alarm.Status == alarm.Resolved {
		t.Pending = t.Pending[1:] // nobody heard of what is over
	}
	q.settle(key, t)
}

// release takes back a message that was not tried to its end.
func (q *queue) release(key string) {
	if t := q.threads[key]; t != nil {
		t.busy, t.Told, t.Level = false, toldUnsure, ""
	}
}

func (q *queue) pop(t *thread) queued {
	first := t.Pending[0]
	t.Pending, t.busy = t.Pending[1:], false
	q.turns++
	t.turn = q.turns // others have waited for longer now
	return first
}

// settle forgets a trouble that is over, or that nobody was told of.
func (q *queue) settle(key string, t *thread) {
	over := t.Latest.Status == alarm.Resolved && t.Told != toldFiring
	if len(t.Pending) == 0 && (over || t.Told == toldNothing || t.Told == toldOver) {
		delete(q.threads, key)
	}
}

// sweep resolves what an earlier process told and nobody has seen since. Other
// monitors say once that something began, and once that it is over.
func (q *queue) sweep(now time.Time) bool {
	more := false
	for _, t := range q.threads {
		if t.carried && !t.Latest.Foreign {
			a := t.Latest
			a.Status, a.At, a.Evidence = alarm.Resolved, now, nil
			a.Summary = alarm.Clip("not seen again since Spillway was restarted: "+a.Summary, 1024)
			t.carried = false
			more = q.resolve(t, queued{Alarm: a, At: now}) || more
		}
	}
	return more
}

// depth is how many messages wait, since when the oldest does, and since when
// the oldest page does; zero times for none.
func (q *queue) depth() (waiting int, oldest, oldestPage time.Time) {
	for _, t := range q.threads {
		for _, m := range t.Pending {
			waiting++
			if oldest.IsZero() || m.At.Before(oldest) {
				oldest = m.At
			}
			if m.Alarm.Level == alarm.Page && (oldestPage.IsZero() || m.At.Before(oldestPage)) {
				oldestPage = m.At
			}
		}
	}
	return waiting, oldest, oldestPage
}

// wake is when the next repetition is due; zero for never.
func (q *queue) wake() time.Time {
	var at time.Time
	if q.repeat == 0 {
		return at
	}
	for _, t := range q.threads {
		if t.Told != toldFiring || len(t.Pending) > 0 {
			continue
		}
		if due := t.sent.Add(q.repeat); at.IsZero() || due.Before(at) {
			at = due
		}
	}
	return at
}

// saved is the queue as it is kept. The threads are copies.
func (q *queue) saved() map[string]thread {
	kept := make(map[string]thread, len(q.threads))
	for key, t := range q.threads {
		c := *t
		c.Pending = append([]queued(nil), t.Pending...)
		kept[key] = c
	}
	return kept
}

// restore takes what an earlier process kept. What it was about to send may
// have arrived.
func (q *queue) restore(kept map[string]thread) {
	for key, t := range kept {
		if len(q.threads) >= q.most || key == "" || len(t.Pending) > 3 {
			continue
		}
		if len(t.Pending) == 0 && t.Told != toldFiring && t.Told != toldUnsure && t.Told != toldRefused {
			continue
		}
		if len(t.Pending) > 0 {
			t.Told, t.Level = toldUnsure, ""
		}
		q.turns++
		t.turn, t.carried = q.turns, t.Latest.Status == alarm.Firing
		q.threads[key] = &t
	}
}
