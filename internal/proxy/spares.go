package proxy

// spares are empty buffers that a driver's endpoints fill and give back, so that
// steady traffic allocates nothing. The zero value is ready.
type spares struct{ small, large [][]byte }

const (
	// smallSpare is what most traffic needs; largestSmall is up to where buffers
	// are kept by the hundred.
	smallSpare   = 4 << 10
	largestSmall = 32 << 10
	mostSmall    = 512
	// mostLarge bounds the larger ones that are kept: for as many streams at once
	// nothing is allocated. New ones have room for a stream at its high water.
	mostLarge  = 16
	largeSpare = 2 * highWater
)

// take returns an empty buffer with room for at least n bytes.
func (p *spares) take(n int) []byte {
	if last := len(p.small) - 1; last >= 0 && cap(p.small[last]) >= n {
		b := p.small[last]
		p.small = p.small[:last]
		return b
	}
	if n <= largestSmall {
		return make([]byte, 0, max(n, smallSpare))
	}
	for i := len(p.large) - 1; i >= 0; i-- {
		if b := p.large[i]; cap(b) >= n {
			last := len(p.large) - 1
			p.large[i] = p.large[last]
			p.large = p.large[:last]
			return b
		}
	}
	if n <= largeSpare/4 {
		return make([]byte, 0, largeSpare/4) // a held piece rather than a stream
	}
	return make([]byte, 0, max(n, largeSpare))
}

// give takes a buffer back that nobody reads any more.
func (p *spares) give(b []byte) {
	switch {
	case cap(b) < smallSpare:
	case cap(b) <= largestSmall && len(p.small) < mostSmall:
		p.small = append(p.small, b[:0])
	case cap(b) > largestSmall && cap(b) <= 2*largeSpare && len(p.large) < mostLarge:
		p.large = append(p.large, b[:0])
	}
}
