package notify

import (
	"math/rand/v2"
	"time"
)

// Times between attempts at a failing endpoint.
const (
	firstPause   = time.Second
	longestPause = 2 * time.Minute
	// lockedPause is the pause where only people can mend it.
	lockedPause = 5 * time.Minute
)

// pause is how long to wait after so many failures in a row: doubled each time,
// with half of it left to chance, so that nodes that failed together do not come
// back together. What the endpoint asks for is the least.
func pause(failures int, after time.Duration, locked bool) time.Duration {
	d := longestPause
	if shift := failures - 1; shift < 7 { // 2^7 s is above the longest
		d = min(firstPause<<max(shift, 0), longestPause)
	}
	if locked {
		d = lockedPause
	}
	d = d/2 + rand.N(d/2+1)
	if after > 0 {
		d = max(d, after+rand.N(after/10+1))
	}
	return d
}
