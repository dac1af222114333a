package proxy

import (
	"spillway/internal/schedule"
	"spillway/internal/wire"
)

// turn is what a client needs only while it is at work: waits, holds a server,
// is in the middle of a message or is owed an error.
type turn struct {
	srv     *server
	wait    *schedule.Waiter
	own     schedule.Waiter // what wait points to while there is one loop
	poison  *wire.Report    // told at the next message instead of an answer
	capped  []*tally        // what it counts under caps on statements
	holding *group          // the one that counts its server
	console *consoleLink    // the admin database's
	stream  int             // bytes of a passing message still to come

	waitSince      int64 // in the queue since; 0 = not
	leaseAt, txnAt int64
	queryAt        int64 // a query runs since; 0 = none

	noQuery bool // the message streaming through is no query text
	dropped bool // the message streaming through is dropped
	held    bool // waits for answers before its next message is looked at
	leaking bool // its server is kept idle for too long
	skip    bool // after poison: everything up to Sync
	noticed bool // told that it waits
	spent   bool // a grant for own may still be on its way
}

// resting is the turn of every client that has none: it is only read.
var resting = new(turn)

// spareTurns is how many turns a loop keeps for clients to come.
const spareTurns = 256

// wake gives a client a turn of its own to be written.
func (l *loop) wake(c *client) {
	if c.turn != resting {
		return
	}
	if n := len(l.turns); n > 0 {
		c.turn = l.turns[n-1]
		l.turns = l.turns[:n-1]
		return
	}
	c.turn = new(turn)
}

// rest takes the turn of a client that needs none.
func (l *loop) rest(c *client) {
	t := c.turn
	if t.srv != nil || t.wait != nil || t.console != nil || t == resting {
		return
	}
	if t.poison != nil || t.skip || t.held || t.stream > 0 || t.waitSince != 0 || len(t.capped) > 0 || c.closed {
		return
	}
	c.turn = resting
	if len(l.turns) < spareTurns && !t.spent {
		*t = turn{capped: t.capped[:0]}
		l.turns = append(l.turns, t)
	}
}
