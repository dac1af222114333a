package proxy

import (
	"fmt"
	"strings"
	"time"

	"spillway/internal/schedule"
	"spillway/internal/session"
	"spillway/internal/statement"
	"spillway/internal/wire"
)

// outage says since when an upstream cannot be reached and when it is tried
// again; "" while it can be.
func (up *upstream) outage(now int64) string {
	b := up.host.Breaker(now)
	if !b.Open {
		return ""
	}
	next := "the next attempt is under way"
	if b.NextProbe > 0 {
		next = "next attempt in " + b.NextProbe.Round(100*time.Millisecond).String()
	}
	return fmt.Sprintf("server %s has not been reached for %s; %s", up.name, b.For.Round(100*time.Millisecond), next)
}

// down is the error of a client that got no server because there is none to be
// had: the words of the last login that failed, and since when. False: the
// upstream can be reached, or PgBouncer's texts are wanted.
func (l *loop) down(c *client, detail string) (wire.Report, bool) {
	up := c.pool.up
	text, f := up.outage(l.now), up.failure.Load()
	if text == "" || f == nil || l.proxy.policy.Load().ErrorStyle == ErrorsPgBouncer {
		return wire.Report{}, false
	}
	rep := f.report
	rep.Severity, rep.Detail = "ERROR", text+detail
	return rep, true
}

// refuseDown tells a client whose wait is over that the server is away, where
// that is why it waited. The session goes on where it can.
func (l *loop) refuseDown(c *client, waited time.Duration) bool {
	rep, ok := l.down(c, "; waited "+waited.String())
	if !ok {
		return false
	}
	l.note(c, loginFailing)
	if c.phase != phaseServe || c.sess.Mode == session.Session {
		rep.Severity = "FATAL"
		l.farewell(c, rep)
		return true
	}
	c.poison = &rep
	l.unstop(&c.endpoint, stopWaiting)
	return true
}

// noticeDown tells an operator who has to wait for a server that is away what
// is the matter: they wait at the head of the queue, and the next login is theirs.
func (l *loop) noticeDown(c *client) {
	if !c.operator || c.phase != phaseServe {
		return
	}
	if rep, ok := l.down(c, "; you are first in the queue"); ok {
		rep.Severity = "NOTICE"
		l.send(&c.endpoint, wire.AppendReport(nil, wire.NoticeResponse, rep))
	}
}

// reached keeps the last failure to reach the upstream at all.
func (up *upstream) reached(f *loginFailure, class schedule.FailClass) {
	if class == schedule.FailNetwork || class == schedule.FailStarting {
		up.failure.Store(f)
	}
}

// rolledBack answers ROLLBACK of a client that has no server, so no
// transaction, and gets none: nothing has to be asked of PostgreSQL for it.
// A client whose transaction was undone behind its back is told so by the
// warning. COMMIT is refused like any statement: answered, it would read as if
// the work before it, which was refused, had been done.
func rolledBack(out []byte, rep *wire.Report, text []byte) ([]byte, bool) {
	told := wire.Report{Severity: "WARNING", Code: "25P01", Message: "there is no transaction in progress"}
	switch {
	case strings.HasPrefix(rep.Code, "25P") || rep.Code == "57014":
		if !endsTransaction(text) {
			return out, false
		}
		told = wire.Report{Severity: "WARNING", Code: rep.Code, Message: rep.Message, Hint: rep.Hint}
	case rep.Code == reasons[bannedStatement].code || !statement.PlainRollback(text, true):
		return out, false
	}
	out = wire.AppendReport(out, wire.NoticeResponse, told)
	return wire.AppendReady(wire.AppendCommandComplete(out, "ROLLBACK"), wire.Idle), true
}
