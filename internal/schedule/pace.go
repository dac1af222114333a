package schedule

const (
	unrestLosses = 3    // servers lost within unrestWindow that look like an outage
	unrestWindow = 1e9  // 1 s
	unrestLasts  = 30e9 // 30 s: after an outage everybody comes back at once, the guaranteed too
)

// unrest remembers when a host last lost servers by the handful, or its breaker was open.
type unrest struct {
	since  int64 // of the losses being counted
	losses int
	until  int64
}

func (u *unrest) lost(now int64) {
	if now >= u.since+unrestWindow {
		u.since, u.losses = now, 0
	}
	if u.losses++; u.losses >= unrestLosses {
		u.until = now + unrestLasts
	}
}

// bucket is a token bucket: one token per server login.
type bucket struct {
	tokens float64
	at     int64
	opened uint64 // logins started
	paced  uint64 // times a login had to wait
}

// refill adds what p allows since the last refill.
func (b *bucket) refill(now int64, p Pace) {
	if now > b.at {
		b.tokens = min(float64(p.Burst), b.tokens+float64(now-b.at)*p.PerSecond/1e9)
	}
	b.at = now
}
