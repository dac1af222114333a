package job

import "time"

// Watch remembers what it saw of the jobs, so that each thing is told once. It
// belongs to one goroutine.
type Watch struct {
	seen map[string]*seen // by place
}

// seen is what was seen of one place.
type seen struct {
	ended map[string]time.Time // by job, the end that was told last
	facts map[factKey]Fact
}

type factKey struct {
	job  string
	kind Kind
}

// News is what changed since the last look.
type News struct {
	Ended []End
	Found []Fact // new, or counting more
	Gone  []Fact
}

// End is the end of one run of a job.
type End struct {
	Job string `json:"job"`
	Ran
}

// Look compares a place's jobs with what was seen there before. At the first
// look runs that have ended are no news.
func (w *Watch) Look(place string, states []State) News {
	var news News
	before := w.seen[place]
	now := &seen{ended: map[string]time.Time{}, facts: map[factKey]Fact{}}
	for i := range states {
		s := &states[i]
		var since time.Time
		if before != nil {
			since = before.ended[s.Name]
		}
		now.ended[s.Name] = since
		for j := len(s.Runs) - 1; j >= 0; j-- { // oldest first
			r := s.Runs[j]
			if r.Ended == nil || !r.Ended.After(since) {
				continue
			}
			if r.Ended.After(now.ended[s.Name]) {
				now.ended[s.Name] = *r.Ended
			}
			if before != nil {
				news.Ended = append(news.Ended, End{s.Name, r})
			}
		}
		for _, fact := range s.Facts {
			now.facts[factKey{s.Name, fact.Kind}] = fact
		}
	}
	news.compare(before, now)
	if w.seen == nil {
		w.seen = map[string]*seen{}
	}
	w.seen[place] = now
	return news
}

func (n *News) compare(before, now *seen) {
	if before == nil {
		before = &seen{}
	}
	for key, fact := range now.facts {
		if old, was := before.facts[key]; !was || old.Count != fact.Count {
			n.Found = append(n.Found, fact)
		}
	}
	for key, fact := range before.facts {
		if _, is := now.facts[key]; !is {
			n.Gone = append(n.Gone, fact)
		}
	}
}

// Forget is Look at a place that is watched no more.
func (w *Watch) Forget(place string) News {
	news := w.Look(place, nil)
	delete(w.seen, place)
	return news
}
