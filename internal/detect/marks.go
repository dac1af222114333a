package detect

import (
	"time"

	"spillway/internal/sample"
)

// marks remember what spans more than the trends' five minutes.
type marks struct {
	hosts  map[string]*hostMark
	tables map[string]*tableMark
	flow   flow
}

func newMarks() marks { return marks{hosts: map[string]*hostMark{}, tables: map[string]*tableMark{}} }

// hostMark is what is remembered of a host.
type hostMark struct {
	fullSince time.Time // busy at or above the warning, without a break; zero: not
	peaks     [peakSlots]peak
	fused     uint64
	fusedAt   time.Time
	seen      bool
}

// Peaks are kept for a day in pieces of five minutes.
const (
	peakStep  = 5 * time.Minute
	peakSlots = int(24 * time.Hour / peakStep)
	// peakFull: a peak this high ran into the limit. It did not turn by itself, and
	// is no proof that the next one will.
	peakFull = 0.95
	// peakOwn: what is younger belongs to the rise that is looked at.
	peakOwn = 10 * time.Minute
)

type peak struct {
	at    time.Time
	ratio float64
}

func (m *marks) host(h *sample.Host, at time.Time) {
	k := m.hosts[h.Name]
	if k == nil {
		k = &hostMark{}
		m.hosts[h.Name] = k
	}
	ratio := ratioOf(h)
	step := at.Truncate(peakStep)
	slot := &k.peaks[int(step.Unix()/int64(peakStep/time.Second))%peakSlots]
	if !slot.at.Equal(step) {
		*slot = peak{at: step}
	}
	slot.ratio = max(slot.ratio, ratio)
	switch {
	case ratio >= nearlyFull && k.fullSince.IsZero():
		k.fullSince = at
	case ratio < nearlyFull:
		k.fullSince = time.Time{}
	}
	if k.seen && h.Fused > k.fused {
		k.fusedAt = at
	}
	k.fused, k.seen = h.Fused, true
}

// nearlyFull is from where the verdict speaks of a full host.
const nearlyFull = 0.9

// learned is the highest ratio of the last day from which the host came back by
// itself.
func (k *hostMark) learned(at time.Time) float64 {
	best := 0.0
	for _, p := range k.peaks {
		if age := at.Sub(p.at); age > peakOwn && age <= 24*time.Hour && p.ratio < peakFull {
			best = max(best, p.ratio)
		}
	}
	return best
}

func ratioOf(h *sample.Host) float64 {
	if h.Usable <= 0 {
		return 0
	}
	return float64(h.Busy) / float64(h.Usable)
}

// flow is how many transactions come, by minute, for a day.
type flow struct {
	minutes [24 * 60]flowMinute
	last    uint64
	lastAt  time.Time
	now     float64 // a second, smoothed over about 10 s
}

type flowMinute struct {
	at           time.Time
	transactions uint64
	seconds      float64
}

func (m *marks) traffic(p *sample.Proxy, at time.Time) {
	var total uint64
	for i := range p.Pools {
		total += p.Pools[i].Transactions
	}
	f := &m.flow
	span := at.Sub(f.lastAt).Seconds()
	if !f.lastAt.IsZero() && total >= f.last && span > 0 {
		came := total - f.last
		f.now += (float64(came)/span - f.now) * min(1, span/10)
		minute := at.Truncate(time.Minute)
		slot := &f.minutes[int(minute.Unix()/60)%len(f.minutes)]
		if !slot.at.Equal(minute) {
			*slot = flowMinute{at: minute}
		}
		slot.transactions += came
		slot.seconds += span
	}
	f.last, f.lastAt = total, at
}

// usual is the transactions a second of the hour before the last ten minutes.
func (f *flow) usual(at time.Time) (float64, bool) {
	var n, seconds float64
	for i := range f.minutes {
		s := &f.minutes[i]
		if age := at.Sub(s.at); age >= 10*time.Minute && age <= 70*time.Minute {
			n, seconds = n+float64(s.transactions), seconds+s.seconds
		}
	}
	return n / max(seconds, 1), seconds >= 300
}
