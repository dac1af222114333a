package sample

// Histogram counts durations: Counts[i] are those up to Bounds[i] seconds, the
// last count is of those above all bounds.
type Histogram struct {
	Bounds []float64 // ascending; shared, not to be changed
	Counts []uint64  // one more than Bounds
}

// Total is how many durations were counted.
func (h Histogram) Total() uint64 {
	var n uint64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Above is how many took longer than limit seconds. What lies in the bucket of
// limit counts as below.
func (h Histogram) Above(limit float64) uint64 {
	var n uint64
	for i, c := range h.Counts {
		if i > 0 && h.Bounds[i-1] >= limit {
			n += c
		}
	}
	return n
}

// Since is what was counted after before was taken. A histogram that has been
// reset is taken as it is.
func (h Histogram) Since(before Histogram) Histogram {
	if len(before.Counts) != len(h.Counts) {
		return h
	}
	d := Histogram{Bounds: h.Bounds, Counts: make([]uint64, len(h.Counts))}
	for i := range h.Counts {
		if h.Counts[i] < before.Counts[i] {
			return h
		}
		d.Counts[i] = h.Counts[i] - before.Counts[i]
	}
	return d
}

// Quantile is the upper bound in seconds of the bucket that q (0–1) falls in; 0
// without counts.
func (h Histogram) Quantile(q float64) float64 {
	total := h.Total()
	if total == 0 {
		return 0
	}
	rank, seen := uint64(float64(total)*q), uint64(0)
	for i, c := range h.Counts {
		if seen += c; seen > rank || seen == total {
			return h.Bounds[min(i, len(h.Bounds)-1)]
		}
	}
	return 0
}
