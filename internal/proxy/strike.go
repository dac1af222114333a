package proxy

import (
	"context"
	"time"

	"spillway/internal/session"
	"spillway/internal/wire"
)

// Target names one holder as a snapshot showed it. What it names is struck only
// if all of it still holds on the loop at that moment: a client that has got on
// with its work meanwhile is another target.
type Target struct {
	Client        uint64
	PID           int       // of the server's backend
	BackendAt     time.Time // when Spillway's connection to it was opened
	TransactionAt time.Time // zero: in none
	QueryAt       time.Time // when what it runs began; zero: it runs nothing
}

// Strike says how targets are struck.
type Strike struct {
	// Terminate ends the client and its server connection; otherwise what runs is
	// cancelled, what is idle is rolled back, and both go on to serve.
	Terminate bool
	Text      string // who and why; told to the client
}

// Struck is what became of a target.
type Struck struct {
	Target
	Outcome Outcome
}

// Outcome of a strike at one target.
type Outcome string

// Outcomes.
const (
	Canceled   Outcome = "cancelled"   // a cancel request is on its way; the session goes on
	RolledBack Outcome = "rolled back" // it was idle; its transaction is undone and the server freed
	Ended      Outcome = "terminated"  // client and server connection are closed
	Missed     Outcome = "gone"        // it is no longer what the snapshot showed: nothing was done
)

// Strike implements Containment. It returns when every loop has acted, not when
// PostgreSQL has.
func (p *Proxy) Strike(ctx context.Context, targets []Target, s Strike) ([]Struck, error) {
	wanted := make(map[uint64]int, len(targets))
	out := make([]Struck, len(targets))
	for i, t := range targets {
		out[i] = Struck{t, Missed}
		wanted[t.Client] = i
	}
	err := p.facts(ctx, func(l *loop) {
		var hit []*client
		for c := range l.clients {
			if i, ok := wanted[c.id]; ok && l.still(c, &targets[i], s.Terminate) {
				hit = append(hit, c)
			}
		}
		for _, c := range hit {
			out[wanted[c.id]].Outcome = l.strike(c, s)
		}
	})
	return out, err
}

// still reports whether c is what t says. What is to be terminated was
// cancelled before: its statement may have ended, its transaction not.
func (l *loop) still(c *client, t *Target, terminate bool) bool {
	if c.srv == nil || c.phase != phaseServe || c.closed {
		return false
	}
	now := l.target(c)
	if now.PID != t.PID || !now.BackendAt.Equal(t.BackendAt) || !now.TransactionAt.Equal(t.TransactionAt) {
		return false
	}
	return terminate && !t.TransactionAt.IsZero() || now.QueryAt.Equal(t.QueryAt)
}

func (l *loop) strike(c *client, how Strike) Outcome {
	s := c.srv
	l.note(c, killedByAction)
	rep := wire.Report{Severity: "ERROR", Code: "57014", Message: "canceling statement: " + how.Text,
		Hint: "The session goes on; the transaction is rolled back."}
	switch {
	case s.sess.Quiet():
		return l.rollBack(c, how.Text)
	case how.Terminate || c.stream > 0:
		l.endStruck(c, how.Text)
		l.closeServer(s, "terminated by an action")
		return Ended
	case !s.canceling:
		s.sess.ReplaceError("57014", &rep)
		l.sendCancel(s, nil)
	}
	return Canceled
}

// rollBack takes the server of a client that runs nothing; the client is told
// at its next message, where its session can go on without that server.
func (l *loop) rollBack(c *client, text string) Outcome {
	if c.sess.Mode == session.Session || c.sess.IsPinned() || c.stream > 0 || len(c.in) > 0 {
		l.endStruck(c, text)
		return Ended
	}
	rep := wire.Report{Severity: "ERROR", Code: "25P03", Message: "transaction rolled back: " + text,
		Hint: "The session goes on; start the transaction again."}
	c.poison = &rep
	s := c.srv
	c.unlease()
	c.txnAt, c.queryAt = 0, 0
	c.idleAt = l.now
	l.abandon(s, c)
	return RolledBack
}

func (l *loop) endStruck(c *client, text string) {
	l.farewell(c, wire.Report{Severity: "FATAL", Code: reasons[killedByAction].code,
		Message: "terminating connection: " + text, Hint: "Connect again."})
}
