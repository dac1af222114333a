package act

import "time"

// longestNap is how long the clock sleeps when nothing is due.
const longestNap = time.Hour

// clock ends what stands when its time is over.
func (r *Room) clock() {
	for {
		if r.expire(time.Now()) {
			continue
		}
		timer := time.NewTimer(r.nap(time.Now()))
		select {
		case <-timer.C:
		case <-r.wake:
			timer.Stop()
		case <-r.life.Done():
			timer.Stop()
			return
		}
	}
}

// nap is how long nothing is due.
func (r *Room) nap(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	nap := longestNap
	for _, a := range r.actions {
		if a.State == Stands {
			nap = min(nap, max(a.Until.Sub(now), 0))
		}
	}
	return nap
}

// expire ends what is due and reports whether there was any.
func (r *Room) expire(now time.Time) bool {
	r.mu.Lock()
	ended := r.expireLocked(now)
	r.mu.Unlock()
	if len(ended) == 0 {
		return false
	}
	if err := r.enforce(nil); err != nil {
		r.Log.Error("expired actions are still in force", "error", err)
	}
	for _, a := range ended {
		e := event{Action: a}
		e.Summary = e.summary()
		r.note("action.expired", e)
		r.Log.Info("action expired", "id", a.ID, "action", a.Order.Kind, "subject", a.Order.Subject())
	}
	return true
}

func (r *Room) expireLocked(now time.Time) []Action {
	var ended []Action
	for _, a := range r.actions {
		if a.State == Stands && !now.Before(a.Until) {
			a.State, a.EndedAt, a.EndedBy = Expired, now.Round(0), "the clock"
			ended = append(ended, a.brief())
		}
	}
	return ended
}
