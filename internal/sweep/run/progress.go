package run

import "time"

// Progress is how far a sweep is; a value of its own.
type Progress struct {
	Sweep
	Left float64   `json:"left"`
	Now  float64   `json:"rows_per_second"`
	Mean float64   `json:"rows_per_second_mean"` // since this runner began
	ETA  float64   `json:"eta_seconds"`          // -1 = not known
	Part float64   `json:"part"`
	Duty float64   `json:"duty"` // part of the time spent in batches
	At   time.Time `json:"at"`
}

// tellEvery is how often progress is told.
const tellEvery = 200 * time.Millisecond

// meter knows how fast a run is.
type meter struct {
	begun   time.Time
	first   int64 // deleted before
	deleted int64
	points  []point
	told    time.Time
}

type point struct {
	at time.Time
	n  int64
}

// speedOver is over which time the present speed is taken.
const speedOver = 3 * time.Second

func (m *meter) start(now time.Time, s *Sweep) {
	*m = meter{begun: now, first: s.Deleted, deleted: s.Deleted, points: []point{{now, s.Deleted}}}
}

func (m *meter) count(now time.Time, n int64) {
	m.deleted += n
	if last := m.points[len(m.points)-1]; now.Sub(last.at) > 50*time.Millisecond || len(m.points) == 1 {
		m.points = append(m.points, point{now, m.deleted})
	} else {
		m.points[len(m.points)-1].n = m.deleted
	}
}

func (m *meter) speeds(now time.Time) (present, mean float64) {
	for len(m.points) > 1 && now.Sub(m.points[1].at) > speedOver {
		m.points = m.points[1:]
	}
	if d := now.Sub(m.points[0].at).Seconds(); d > 0 {
		present = float64(m.deleted-m.points[0].n) / d
	}
	if d := now.Sub(m.begun).Seconds(); d > 0 {
		mean = float64(m.deleted-m.first) / d
	}
	return present, mean
}

// tell reports progress, not too often unless it must.
func (r *runner) tell(must bool) {
	now := time.Now()
	if r.config.Tell == nil || !must && now.Sub(r.meter.told) < tellEvery {
		return
	}
	r.meter.told = now
	p := Progress{Sweep: *r.sweep, At: now, Left: r.sweep.Left(), Part: r.sweep.Part(), Duty: r.pace.Duty(), ETA: -1}
	p.Alive = true
	p.Now, p.Mean = r.meter.speeds(now)
	if p.Left == 0 {
		p.ETA = 0
	} else if p.Mean > 0 && p.Phase == Running {
		// Of the two speeds the one that says what the last minutes were like.
		p.ETA = p.Left / max((p.Now+p.Mean)/2, 0.001)
	}
	r.config.Tell(p)
}
