package notify

import (
	"fmt"
	"time"

	"spillway/internal/notify/alarm"
)

// pageWaits is how long a page may wait for a failing endpoint before its
// failing is a page itself, on the other channels.
const pageWaits = 5 * time.Minute

// ailing is told after every attempt of a lane.
func (d *Desk) ailing(l *lane) {
	l.mu.Lock()
	channel := l.channel.Name
	l.mu.Unlock()
	d.review(channel)
}

// review reports how a channel fares, all its endpoints together.
func (d *Desk) review(channel string) {
	now := time.Now()
	a := alarm.Alarm{Key: troubleKey(channel), Status: alarm.Resolved, Level: alarm.Warn, Detector: "notify", At: now,
		Summary: fmt.Sprintf("alarms go out by channel %s again", channel)}
	for _, l := range d.all() {
		l.diagnose(channel, &a, now)
	}
	d.report(a)
}

// diagnose adds a failing lane of the channel to the alarm.
func (l *lane) diagnose(channel string, a *alarm.Alarm, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.channel.Name != channel || !l.health.failing() {
		return
	}
	h := &l.health
	waiting, _, oldestPage := l.queue.depth()
	if a.Status != alarm.Firing || h.since.Before(a.Since) {
		a.Since = h.since
	}
	a.Status = alarm.Firing
	a.Summary = fmt.Sprintf("alarms do not go out by channel %s: %s", channel, h.last)
	a.Runbook = "See `spillway notify list`; mend what it says, then `spillway notify test " + channel + "`."
	switch {
	case h.refused:
		a.Summary = fmt.Sprintf("channel %s does not take an alarm: %s", channel, h.last)
	case h.locked:
		a.Runbook = "Its address, key or token are wrong: mend the config, reload, then `spillway notify test " + channel + "`."
	}
	if !oldestPage.IsZero() && now.Sub(oldestPage) > pageWaits {
		a.Level = alarm.Page
	}
	a.Evidence = append(a.Evidence, fmt.Sprintf("%s: %d failures in a row since %s, %d alarms wait, last answer: %s",
		l.name, h.failures, h.since.UTC().Format(time.DateTime+" MST"), waiting, h.last))
}

// report tells Found what has changed: that a trouble is there, is worse, or is
// over.
func (d *Desk) report(a alarm.Alarm) {
	d.mu.Lock()
	before, known := d.troubles[a.Key]
	tell := known && a.Status == alarm.Resolved || a.Status == alarm.Firing && (!known || a.Level.Rank() > before.Level.Rank())
	switch {
	case a.Status == alarm.Resolved:
		a.Since, a.Level = before.Since, before.Level
		delete(d.troubles, a.Key)
	case tell:
		if a.Since.IsZero() {
			a.Since = a.At
		}
		d.troubles[a.Key] = a
	}
	d.mu.Unlock()
	if tell {
		d.config.Found(a)
	}
}
