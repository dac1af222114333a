package schedule

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
