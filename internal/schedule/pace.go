package schedule

const (
	unrestLosses = 3    // servers lost within unrestWindow that look like an outage
	unrestWindow = 1e9  // 1 s
	unrestLasts  = 30e9 // 30 s: after an outage everybody comes back at once, the guaranteed too
	unrestStart  = 5e9  // 5 s: whoever starts this process may have started the server a moment before
)

// unrest remembers until when a host is not calm: it lost servers by the handful or its last one, could not be reached,
// had its servers closed by order, or is new to us.
type unrest struct {
	losses [unrestLosses - 1]int64 // when the last servers were lost, the oldest first; 0 none yet
	until  int64
}

func (u *unrest) begin(now int64) { u.until = max(u.until, now+unrestLasts) }

// lost counts a server that went while it was in use or idle; left are those that stay.
func (u *unrest) lost(now int64, left int) {
	if first := u.losses[0]; first != 0 && now-first < unrestWindow || left == 0 {
		u.begin(now)
	}
	copy(u.losses[:], u.losses[1:])
	u.losses[len(u.losses)-1] = now
}

// calm says that the host had no outage of late.
func (h *Host) calm() bool {
	return !h.breaker.open && h.breaker.ramp == 0 && h.now >= h.unrest.until
}

// burst is how many logins may be saved up for later. On a calm host it is one for every slot: lending all that is idle
// takes no longer than the logins themselves, Parallel at once, while servers that come and go again and again are held to
// PerSecond as ever.
func (h *Host) burst() int {
	if h.calm() {
		return max(h.cfg.Connect.Burst, h.shared.size)
	}
	return h.cfg.Connect.Burst
}

// bucket is a token bucket: one token per server login.
type bucket struct {
	tokens float64
	at     int64
	opened uint64 // logins started
	paced  uint64 // times a login had to wait
}

// refill adds what the rate allows since the last refill, and takes away what is above the burst of this moment.
func (h *Host) refill() {
	b := &h.pace
	if h.now > b.at {
		b.tokens += float64(h.now-b.at) * h.cfg.Connect.PerSecond / 1e9
	}
	b.tokens = min(b.tokens, float64(h.burst()))
	b.at = h.now
}

// established is how many servers have logged in and are not on their way out.
func (k *slots) established() int { return k.total - k.opening - k.closing }
