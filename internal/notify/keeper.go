package notify

import (
	"maps"
	"time"

	"spillway/internal/notify/alarm"
)

// keptKey is the key under which a queue that cannot be kept is reported.
const keptKey = "notify-queue"

// keepSoon asks for the queues to be kept.
func (d *Desk) keepSoon() {
	select {
	case d.dirty <- struct{}{}:
	default:
	}
}

// keeper keeps the queues after each change. Changes that come while a disk is
// slow are kept together.
func (d *Desk) keeper() {
	for {
		select {
		case <-d.ctx.Done():
			return // Stop saves
		case <-d.dirty:
		}
		err := d.save()
		a := alarm.Alarm{Key: keptKey, Status: alarm.Resolved, Level: alarm.Warn, Detector: "notify", At: time.Now(), Summary: "the alarm queue is kept on disk again"}
		if err != nil {
			a.Status, a.Summary = alarm.Firing, "the alarm queue cannot be kept on disk: alarms that are not sent yet would be lost by a restart"
			a.Evidence, a.Runbook = []string{err.Error()}, "Make room in data_dir, or let the user Spillway runs as write there."
		}
		d.report(a)
	}
}

// save keeps all queues as they are now.
func (d *Desk) save() error {
	if d.config.Store == nil {
		return nil
	}
	lanes := map[string]map[string]thread{}
	d.mu.Lock()
	// Channels of the earlier process that are not made yet.
	maps.Copy(lanes, d.kept)
	d.mu.Unlock()
	for _, l := range d.all() {
		l.mu.Lock()
		lanes[l.name] = l.queue.saved()
		l.mu.Unlock()
	}
	text, err := encodeState(lanes)
	if err != nil {
		return err
	}
	return d.config.Store.Save(text)
}
