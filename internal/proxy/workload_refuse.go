package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"spillway/internal/schedule"
	"spillway/internal/session"
	"spillway/internal/wire"
)

// groupCapped is a refusal of ours beside those of the schedule.
const groupCapped schedule.Reason = 200

// refuseWorkload tells a client which bound of whose workload keeps it out,
// and who has the slots.
func (l *loop) refuseWorkload(c *client, why schedule.Reason) {
	w := c.work
	if w == nil {
		w = &Workload{Name: schedule.DefaultWorkload}
	}
	r, bound := queueFull, fmt.Sprintf("queue_max: %d", w.QueueMax)
	switch why {
	case schedule.WaitTooLong:
		r, bound = waitTooLong, "queue_timeout: "+w.QueueTimeout.String()
	case schedule.WorkloadPaused:
		r, bound = workloadPaused, orString(w.Note, "pause")
	case groupCapped:
		r, bound = leakCapped, "on_leak: cap, held: "+fmt.Sprint(c.group.top.Load())
	default:
	}
	limit := "no limit of its own"
	if w.Limit > 0 {
		limit = fmt.Sprintf("limit: %d", w.Limit)
	}
	l.refuse(c, r, "workload "+w.Name, bound+", "+limit+l.blame(c.pool.up))
}

// refuseBy is refuse with the setting that is meant in place of the general one.
func (l *loop) refuseBy(c *client, r reason, setting, detail string) {
	if setting == "" {
		l.refuse(c, r, "", detail)
		return
	}
	if c.phase != phaseServe || l.proxy.policy.Load().ErrorStyle == ErrorsPgBouncer || c.sess.Mode == session.Session {
		l.endClientDetail(c, r, "", detail)
		return
	}
	l.note(c, r)
	rep := r.by(setting, ErrorsNative)
	rep.Detail = detail
	c.poison = &rep
	l.unstop(&c.endpoint, stopWaiting)
}

// blameEvery bounds what a flood of refusals may cost.
const blameEvery = 100 * time.Millisecond

// blamed is who held an upstream's servers a moment ago.
type blamed struct {
	up   *upstream
	at   int64
	text string
}

// blame names who holds the servers of an upstream, the most first, as the end
// of a sentence. It sees this loop's clients.
func (l *loop) blame(up *upstream) string {
	if b := &l.blamed; b.up == up && b.text != "" && l.now-b.at < int64(blameEvery) {
		return b.text
	}
	l.blamed = blamed{up, max(l.now, 1), l.holdersText(up)}
	return l.blamed.text
}

// share is what one service holds.
type share struct {
	who    string
	n      int
	oldest int64
}

func (l *loop) holdersText(up *upstream) string {
	by := map[string]*share{}
	for s := range l.servers {
		c := s.client
		if c == nil || s.pool.up != up {
			continue
		}
		who := fmt.Sprintf("application %q of user %s", c.appNow(), c.user)
		if c.work != nil {
			who += " (workload " + c.work.Name + ")"
		}
		one := by[who]
		if one == nil {
			one = &share{who: who, oldest: c.leaseAt}
			by[who] = one
		}
		one.n++
		one.oldest = min(one.oldest, c.leaseAt)
	}
	if len(by) == 0 {
		return ""
	}
	var list []*share
	for _, one := range by {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b *share) int { return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.who, b.who)) })
	var text strings.Builder
	text.WriteString("; held by ")
	for i, one := range list[:min(len(list), 3)] {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%s: %d for up to %s", one.who, one.n, time.Duration(l.now-one.oldest).Round(time.Millisecond))
	}
	return text.String()
}

// appNow is what a client calls itself now.
func (c *client) appNow() string {
	if c.srv != nil && c.sess.Mode != session.Session {
		return orString(c.srv.sess.Settings.Get("application_name"), c.app)
	}
	return c.app
}

// statementText is the text a client's message brings or names, as far as it
// is there; nil when there is none.
func statementText(c *client, m *session.Msg) []byte {
	if len(m.Raw) <= wire.HeaderSize {
		return nil
	}
	body := m.Raw[wire.HeaderSize:min(len(m.Raw), m.Size)]
	switch m.Kind {
	case wire.Query:
		return body
	case wire.Parse:
		_, rest, _ := wire.CString(body)
		text, _, ok := wire.CString(rest)
		if !ok {
			return rest
		}
		return text
	case wire.Bind:
		_, rest, _ := wire.CString(body)
		if name, _, ok := wire.CString(rest); ok {
			return c.sess.Text(name)
		}
	}
	return nil
}
