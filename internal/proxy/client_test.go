package proxy

import (
	"testing"
	"unsafe"
)

// What an idle client takes is told in docs/speed.md: a field more there
// should be one that idle clients need.
func TestClientIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(client{}); n > 288 {
		t.Errorf("%d bytes", n)
	}
}

func TestEndpointsKnowWhoseTheyAre(t *testing.T) {
	c, s, d := new(client), new(server), new(door)
	if c.endpoint.ofClient() != c || s.endpoint.ofServer() != s || d.endpoint.ofListener() != d {
		t.Error("an endpoint is another's")
	}
}

func TestTurnOfAClientAtRest(t *testing.T) {
	l, c := new(loop), &client{turn: resting}
	l.wake(c)
	own := c.turn
	if own == resting {
		t.Fatal("no turn of its own")
	}
	c.held, c.stream = true, 7
	l.rest(c)
	if c.turn != own {
		t.Error("a client at work lost its turn")
	}
	c.held, c.stream = false, 0
	c.txnAt = 5
	l.rest(c)
	if c.turn != resting || c.txnAt != 0 {
		t.Error("a client at rest keeps its turn")
	}
	l.wake(c)
	if c.turn != own || c.txnAt != 0 {
		t.Error("a spare turn is not taken, or not clean")
	}
	c.spent = true
	l.rest(c)
	if len(l.turns) != 0 {
		t.Error("a turn that a grant may still mean is another client's")
	}
}

func TestPlacesAreShared(t *testing.T) {
	var p places
	rul := new(ruling)
	one := p.shared(place{user: "a", ruled: rul})
	if p.shared(place{user: "a", ruled: rul}) != one || p.shared(place{user: "b", ruled: rul}) == one {
		t.Error("places are not shared by what they are")
	}
	if p.shared(place{user: "a", ruled: new(ruling)}) == one || len(p.all) != 1 {
		t.Error("a place outlives its policy")
	}
}
