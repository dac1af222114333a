package proxy

import (
	"spillway/internal/schedule"
	"spillway/internal/session"
)

// place is what clients of one service have in common: who they are, where they
// belong and what holds for them. Once a client is logged in its place is shared
// and never written: a client that changes gets another.
type place struct {
	user, database, app string

	pool     *pool
	fit      uint64           // see schedule.Waiter
	ruled    *ruling          // the policy that what follows comes from; nil = look again
	looked   session.Settings // application_name was looked at in these
	lim      *limits
	work     *Workload // nil = none is configured
	slots    *schedule.Workload
	group    *group // its service, where leaks are looked for
	tally    *work  // where its transactions are counted; nil before it has a pool
	exempt   bool   // its server is never taken back
	operator bool   // in an operator pool
}

// nowhere is where a client is that has not said who it is.
var nowhere = new(place)

// places are those of one loop's clients.
type places struct {
	ruled *ruling // that they are of
	all   map[place]*place
}

// maxPlaces bounds what made-up names can cost.
const maxPlaces = 4096

// shared returns the one place that is equal to at.
func (p *places) shared(at place) *place {
	if p.all == nil || len(p.all) >= maxPlaces || at.ruled != nil && at.ruled != p.ruled {
		p.all = map[place]*place{} // clients keep the place they have
		p.ruled = at.ruled
	}
	one := p.all[at]
	if one == nil {
		one = new(place)
		*one = at
		p.all[at] = one
	}
	return one
}
