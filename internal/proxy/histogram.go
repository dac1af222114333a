package proxy

import "math/bits"

// histBuckets: four buckets to each doubling from 2^histFloor ns to 2^histCeil ns,
// one below and one above. A bucket is at most 25 % wide.
const (
	histFloor   = 13 // 8.2 µs
	histCeil    = 37 // 137 s
	histBuckets = (histCeil-histFloor)*4 + 2
)

// Observe counts a duration in nanoseconds.
func (h *Histogram) Observe(ns int64) {
	h.SumNanos += uint64(max(ns, 0))
	h.Counts[histBucket(ns)]++
}

func histBucket(ns int64) int {
	if ns < 1<<histFloor {
		return 0
	}
	exp := bits.Len64(uint64(ns)) - 1
	if exp >= histCeil {
		return histBuckets - 1
	}
	return 1 + (exp-histFloor)*4 + int(uint64(ns)>>(exp-2)&3)
}

// HistogramBounds returns the upper bounds in seconds of all buckets but the
// last, which has none.
func HistogramBounds() []float64 {
	bounds := make([]float64, 0, histBuckets-1)
	bounds = append(bounds, float64(int64(1)<<histFloor)/1e9)
	for exp := histFloor; exp < histCeil; exp++ {
		for q := int64(5); q <= 8; q++ {
			bounds = append(bounds, float64(q<<(exp-2))/1e9)
		}
	}
	return bounds
}

// Add merges other into h.
func (h *Histogram) Add(other *Histogram) {
	h.SumNanos += other.SumNanos
	for i, n := range other.Counts {
		h.Counts[i] += n
	}
}

// Count returns how many durations were observed.
func (h *Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.Counts {
		n += c
	}
	return n
}
