package schedule

import "math/rand/v2"

const (
	breakerTrips  = 3     // failures in a row that open the breaker
	backoffBase   = 100e6 // 100 ms
	backoffCap    = 5e9   // 5 s
	probeEvery    = 2.2e9 // with the maintenance connections an absent host is knocked at once a second at most
	authCap       = 30e9  // 30 s
	squeezeCap    = 30e9  // 30 s
	operatorRetry = 250e6 // after 53300: operators' slots are not squeezed
	backoffSteps  = 20    // exponents beyond this change nothing
)

// fullJitter draws from (0, min(cap, base·2^n)].
func fullJitter(rng *rand.Rand, n int, top int64) int64 {
	d := int64(backoffBase) << min(n, backoffSteps)
	return 1 + rng.Int64N(min(d, top))
}

// breaker stops logins to a host that does not answer. Closed, it lets everything through, after an outage in slow start;
// open, it lets one probe through at a time, after a growing random pause. Servers that are open are none of its business.
type breaker struct {
	failures int // in a row
	attempts int // probes that failed since it opened
	open     bool
	since    int64
	until    int64 // no probe before
	ramp     int   // logins at once during slow start; 0 is no bound
	class    FailClass
	trips    uint64
}

// allows says whether one more login may start beside opening others.
func (b *breaker) allows(now int64, opening int) bool {
	if b.open {
		return now >= b.until && opening == 0
	}
	return b.ramp == 0 || opening < b.ramp
}

// succeeded closes the breaker; each login widens the slow start by one, so that each round doubles it up to parallel.
func (b *breaker) succeeded(parallel int) {
	b.failures, b.attempts = 0, 0
	if b.open {
		b.open, b.ramp = false, 1
	}
	if b.ramp > 0 {
		if b.ramp++; b.ramp >= parallel {
			b.ramp = 0
		}
	}
}

// failed counts a failure that speaks of the host. A login that began before the breaker opened says nothing new.
func (b *breaker) failed(now int64, probe bool, rng *rand.Rand) {
	b.failures++
	switch {
	case b.open && probe:
		b.attempts++
	case !b.open && b.failures >= breakerTrips:
		b.open, b.since, b.attempts = true, now, 0
		b.trips++
	default:
		return
	}
	b.until = now + probeEvery + fullJitter(rng, b.attempts, backoffCap-probeEvery)
}

// squeeze is what 53300 does: the host has fewer slots than we believed. The ceiling falls to what is open and rises again
// by a step per pause, the steps doubling while nothing fails.
type squeeze struct {
	on       bool
	ceiling  int
	step     int
	attempts int
	since    int64
	until    int64
}

func (q *squeeze) apply(usable int) int {
	if q.on {
		return min(usable, q.ceiling)
	}
	return usable
}

func (q *squeeze) shrink(now int64, open int, rng *rand.Rand) {
	if !q.on || now >= q.since+backoffBase { // logins that fail together count once
		q.attempts++
	}
	q.on, q.since, q.ceiling, q.step = true, now, max(open, 0), 1
	q.until = now + backoffBase + fullJitter(rng, q.attempts+2, squeezeCap)
}

// grow raises the ceiling when it is time, and says whether anything changed.
func (q *squeeze) grow(now int64, usable int, rng *rand.Rand) bool {
	if !q.on || now < q.until {
		return false
	}
	q.ceiling += q.step
	q.step *= 2
	q.until = now + fullJitter(rng, 3, squeezeCap)
	if q.ceiling >= usable {
		*q = squeeze{}
	}
	return true
}
