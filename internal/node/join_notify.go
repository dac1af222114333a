package node

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"time"

	"spillway/internal/config"
	"spillway/internal/notify"
	"spillway/internal/notify/alarm"
	"spillway/internal/notify/receive"
	"spillway/internal/web"
)

// joinNotify brings alarms: findings go out to the config's channels, and other
// monitors' alarms come in as findings.
func joinNotify(s *seam) (joint, error) {
	d := &notifyDesk{seam: s}
	log := s.log.With("room", "notify")
	note := func(kind string, body any) {
		if err := s.note(context.Background(), kind, body); err != nil {
			log.Warn("event not recorded", "kind", kind, "error", err)
		}
	}
	found := func(a alarm.Alarm) { s.word.found(findingOf(a)) }
	d.out = notify.New(notify.Config{Store: d.store(), Found: found, Note: note, Log: log})
	d.in = receive.New(receive.Config{Found: found, Note: note, Log: log})
	s.word.onFinding(func(f finding) { d.out.Take(alarmOf(f)) })
	d.keep(s.setup.config)
	return joint{
		services: []service{{"alarms", d.out.Start, func(ctx context.Context) error {
			d.in.Close()
			return d.out.Stop(ctx)
		}}},
		routes:  d.routes(),
		metrics: notifyMetrics(d.out, d.in),
		apply:   d.keep,
	}, nil
}

// notifyDesk answers the API about alarms.
type notifyDesk struct {
	*seam
	out *notify.Desk
	in  *receive.Receiver
}

// store keeps the queues in data_dir. Without the folder alarms are sent all the
// same, and what is unsent at the end is lost.
func (d *notifyDesk) store() notify.Store {
	path := filepath.Join(d.setup.config.DataDir, "notify.json")
	if err := socketFolder(path); err != nil {
		d.log.Warn("alarms that are not sent yet are not kept over a restart", "error", err)
		return nil
	}
	return notify.File{Path: path}
}

// keep takes the channels and sources of a config.
func (d *notifyDesk) keep(c *config.Config) {
	channels, err := channelsOf(c)
	if err != nil {
		d.log.Error("alarm channels left out", "error", err)
	}
	d.out.Keep(channels)
	d.in.Keep(sourcesOf(c))
}

// alarmOf is a finding as it is told.
func alarmOf(f finding) alarm.Alarm {
	a := alarm.Alarm{
		Key: f.Key, Status: alarm.Firing, Level: alarm.Level(f.Level), Summary: f.Summary, Detector: f.Detector, Upstream: f.Upstream,
		Workload: f.Workload, Evidence: f.Evidence, Runbook: f.Runbook, Since: f.Since, At: f.At, Foreign: f.Detector == foreignDetector,
	}
	if f.Cleared {
		a.Status = alarm.Resolved
	}
	if a.At.IsZero() {
		a.At = time.Now()
	}
	if a.Since.IsZero() {
		a.Since = a.At
	}
	return a
}

// foreignDetector is the detector of what other monitors have found.
const foreignDetector = "foreign-alarm"

func findingOf(a alarm.Alarm) finding {
	return finding{
		Key: a.Key, Detector: a.Detector, Level: string(a.Level), Upstream: a.Upstream, Workload: a.Workload, Summary: a.Summary,
		Evidence: a.Evidence, Runbook: a.Runbook, Since: a.Since, At: a.At, Cleared: a.Status == alarm.Resolved,
	}
}

// testWait is how long a test of a channel may take: the longest timeout of a
// channel, twice at PagerDuty.
const testWait = 2*time.Minute + 10*time.Second

func (d *notifyDesk) routes() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "notify", Answer: func(context.Context, *web.Ask) (any, error) {
			return map[string]any{"at": time.Now(), "items": d.out.States()}, nil
		}},
		{Method: http.MethodPost, Path: "notify/test", Role: web.Operator, Wait: testWait, Answer: d.test},
		{Method: http.MethodPost, Path: "alarms/{source}", Public: true, MaxBody: receive.MaxBody, Admit: d.admit, Answer: d.take},
	}
}

// test sends a test through one channel.
func (d *notifyDesk) test(ctx context.Context, a *web.Ask) (any, error) {
	var order struct {
		Channel string `json:"channel"`
	}
	if err := a.Decode(&order); err != nil {
		return nil, err
	}
	tried, err := d.out.Test(ctx, order.Channel)
	if errors.Is(err, notify.ErrNoChannel) {
		return nil, web.Refuse(http.StatusNotFound, err.Error(), "`spillway notify list` names them.")
	}
	if err == nil {
		err = d.note(ctx, "notify.tested", map[string]any{"channel": order.Channel, "who": a.Caller.Who, "tried": tried})
	}
	return map[string]any{"at": time.Now(), "items": tried}, err
}

// admit looks at the sender of an alarm before anything of it is read.
func (d *notifyDesk) admit(a *web.Ask) error {
	return refusedAlarm(d.in.Admit(a.Path("source"), a.Header))
}

func (d *notifyDesk) take(ctx context.Context, a *web.Ask) (any, error) {
	taken, err := d.in.Take(ctx, receive.Message{Source: a.Path("source"), Header: a.Header, Body: a.Body})
	return taken, refusedAlarm(err)
}

func refusedAlarm(err error) error {
	var r *receive.Refusal
	if errors.As(err, &r) {
		return web.Refuse(r.Status, r.Text, "")
	}
	return err
}
