package record

import (
	"fmt"
	"time"

	"spillway/internal/record/event"
	"spillway/internal/record/incident"
)

// Times of verdicts.
const (
	judgeAfter = 3 * time.Second // of opening: by then the evidence is there
	judgeEvery = 5 * time.Minute
)

// Bounds of a verdict.
const mostRuled = 50

// judgement is what was last said of an incident.
type judgement struct {
	at     time.Time
	status incident.Status
}

// judge puts the verdict on the timelines of incidents: soon after they open, now
// and then, and when they are restored.
func (r *Record) judge(now time.Time) {
	if r.config.Verdict == nil {
		return
	}
	due := r.toJudge(now)
	if len(due) == 0 {
		return
	}
	sentence, ruled := r.config.Verdict()
	if sentence == "" {
		return
	}
	body := incident.JudgedBody{Sentence: sentence[:min(len(sentence), mostLine)]}
	for _, line := range ruled[:min(len(ruled), mostRuled)] {
		body.RuledOut = append(body.RuledOut, line[:min(len(line), mostLine/4)])
	}
	for _, id := range due {
		draft := r.drafted(incident.Judged, id, body)
		_, _ = r.submit(func(*incident.Book) ([]event.Event, error) { return []event.Event{draft}, nil })
	}
}

// toJudge are the incidents about which it is time to say something.
func (r *Record) toJudge(now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due []string
	live := map[string]judgement{}
	for _, i := range r.book.Live() {
		last, said := r.judged[i.ID]
		again := said && (last.status != i.Status || i.Status == incident.Open && now.Sub(last.at) >= judgeEvery)
		if !said && now.Sub(i.OpenedAt) >= judgeAfter || again {
			due = append(due, i.ID)
			last, said = judgement{now, i.Status}, true
		}
		if said {
			live[i.ID] = last
		}
	}
	r.judged = live
	return due
}

// tellUntaken tells a finding for each incident that was escalated because
// nobody takes it, and its end when somebody does.
func (r *Record) tellUntaken(now time.Time) {
	if r.config.Found == nil {
		return
	}
	for _, f := range r.untakenFindings(now) {
		r.config.Found(f)
	}
}

func (r *Record) untakenFindings(now time.Time) []incident.Finding {
	r.mu.Lock()
	defer r.mu.Unlock()
	var tell []incident.Finding
	still := map[string]bool{}
	finding := func(id string) incident.Finding {
		return incident.Finding{Key: "incident/" + id, Detector: incident.Untaken, Level: incident.Page, At: now, Since: now,
			Runbook: "Say that you take it: spillway incident ack " + id}
	}
	for _, i := range r.book.Live() {
		if i.Status != incident.Open || i.AckedBy != "" || !i.IsEscalated() {
			continue
		}
		still[i.ID] = true
		if !r.untaken[i.ID] {
			f := finding(i.ID)
			f.Since = i.OpenedAt
			f.Summary = fmt.Sprintf("nobody has acknowledged incident %s (SEV-%d) since %s: %s", i.ID, i.Severity, i.OpenedAt.UTC().Format(time.TimeOnly), i.Title)
			tell = append(tell, f)
		}
	}
	for id := range r.untaken {
		if !still[id] {
			f := finding(id)
			f.Cleared, f.Summary = true, "incident "+id+" is taken, or over"
			tell = append(tell, f)
		}
	}
	r.untaken = still
	return tell
}
