package node

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"spillway/internal/config"
	"spillway/internal/proxy"
	"spillway/internal/record"
	recorded "spillway/internal/record/event"
	"spillway/internal/record/incident"
	"spillway/internal/record/report"
	"spillway/internal/record/slo"
	"spillway/internal/record/store"
	"spillway/internal/web"
)

// joinRecord brings the log of events and the incidents made of it. It comes
// first of the rooms, so that it is stopped after all that tell it something.
func joinRecord(s *seam) (joint, error) {
	c := s.setup.config
	desk := &recordDesk{seam: s, before: c}
	desk.room = record.New(record.Config{
		Store: storeOf(c, s), Region: c.Region, Node: nodeName(c), Rules: recordRules(c),
		Readings: &readings{hot: s.hot}, Bounds: proxy.HistogramBounds(),
		Found: func(f incident.Finding) { s.word.found(busFinding(f)) },
		Verdict: func() (string, []string) {
			if s.verdict == nil {
				return "", nil
			}
			return s.verdict()
		},
		Smoke: smokeChecks(c), Log: s.log.With("room", "record"),
	})
	s.word.onEvent(func(ctx context.Context, e event) error { return desk.room.Note(ctx, e.At, e.Kind, e.Body) })
	s.word.onFinding(func(f finding) { desk.room.Told(toldOf(f)) })
	return joint{
		services: []service{{"record", desk.room.Start, desk.room.Stop}},
		routes:   desk.routes(),
		metrics:  recordMetrics(desk.room),
		apply:    desk.apply,
	}, nil
}

// nodeName is the same after a restart, and unlike that of another node of the
// region.
func nodeName(c *config.Config) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if len(c.Listen) > 0 {
		host += " " + c.Listen[0]
	}
	return host
}

func storeOf(c *config.Config, s *seam) store.Config {
	r := &c.Record
	at := store.Config{Dir: r.Path, URL: r.URL, Credentials: r.Credentials, Region: c.Region, Log: s.log.With("room", "record")}
	if r.URL != "" {
		at.Replicas = r.Replicas
	}
	return at
}

// recordRules are the config's words for the room.
func recordRules(c *config.Config) record.Rules {
	r := &c.Record
	rules := incident.Defaults()
	rules.Detectors, rules.Merge, rules.Reopen, rules.Stable = r.OpenOn, r.Merge, r.Reopen, r.Stable
	rules.Escalate, rules.Resolve = r.Escalate, r.Resolve
	rules.Severe = [2]float64{float64(r.Sev1) / 100, float64(r.Sev2) / 100}
	promised := objectivesOf(c)[0]
	objective, slow := slo.Objective{Target: promised.Target, Window: promised.Window}, promised.Wait
	if r.Objective != 0 {
		objective.Target = r.Objective / 100
	}
	if r.Window != 0 {
		objective.Window = r.Window
	}
	if r.Slow != 0 {
		slow = r.Slow
	}
	if slow == 0 {
		slow = usualWait
	}
	return record.Rules{
		Incidents: rules, Slow: slow, Active: float64(r.ActiveUsers),
		Keep:      record.Keep{Age: r.Keep, Size: uint64(r.KeepSize)},
		Objective: objective,
		Revenue:   slo.Revenue{PerMinute: r.Revenue, Currency: r.Currency, Hours: r.Hours()},
	}
}

// busFinding and toldOf are the same finding in the bus's and the record's words.
func busFinding(f incident.Finding) finding {
	return finding{
		Key: f.Key, Detector: f.Detector, Level: f.Level, Upstream: f.Upstream, Workload: f.Workload, Summary: f.Summary,
		Evidence: f.Evidence, Runbook: f.Runbook, Since: f.Since, At: f.At, Cleared: f.Cleared,
	}
}

func toldOf(f finding) incident.Finding {
	return incident.Finding{
		Key: f.Key, Detector: f.Detector, Level: f.Level, Upstream: f.Upstream, Workload: f.Workload, Summary: f.Summary,
		Evidence: f.Evidence, Runbook: f.Runbook, Since: f.Since, At: f.At, Cleared: f.Cleared,
	}
}

// recordDesk answers the API about incidents.
type recordDesk struct {
	*seam
	room *record.Record

	mu     sync.Mutex
	before *config.Config // what held before the next reload; guarded by mu
}

// apply takes a config, and puts a marker of what it changed into the record.
func (d *recordDesk) apply(c *config.Config) {
	d.room.SetRules(recordRules(c))
	d.mu.Lock()
	changed, _ := config.Diff(d.before, c)
	d.before = c
	d.mu.Unlock()
	if len(changed) == 0 {
		return
	}
	body := map[string]any{"text": "config: " + strings.Join(changed, " ")}
	if err := d.note(context.Background(), "change.config", body); err != nil {
		d.log.Warn("event not recorded", "kind", "change.config", "error", err)
	}
}

// refusal gives an error of the room its HTTP status.
func (d *recordDesk) refusal(err error) error {
	var refused *incident.Refused
	switch {
	case errors.As(err, &refused):
		return web.Refuse(http.StatusConflict, refused.Text, refused.Hint)
	case errors.Is(err, incident.ErrUnknown):
		return web.Refuse(http.StatusNotFound, err.Error(), "`spillway incident list` shows them; \"last\" is the newest.")
	case errors.Is(err, record.ErrAway), errors.Is(err, record.ErrFull):
		return web.Refuse(http.StatusServiceUnavailable, err.Error(), "The node's log says why.")
	}
	return err
}

// make reads an incident and computes its report.
func (d *recordDesk) make(ctx context.Context, ref string) (report.Report, error) {
	i, err := d.room.Show(ctx, ref)
	if err != nil {
		return report.Report{}, d.refusal(err)
	}
	rules := d.room.Rules()
	return report.Make(i, report.Config{
		Objective: rules.Objective, Slow: record.SlowBound(proxy.HistogramBounds(), rules.Slow), Revenue: rules.Revenue, Active: rules.Active, Now: time.Now(),
	}), nil
}

// verb is what somebody asks of an incident, in the room's words.
type verb func(b *incident.Book, a incident.Asker) ([]recorded.Event, error)

// do asks a verb and answers how it stands.
func (d *recordDesk) do(ctx context.Context, a *web.Ask, v verb) (any, error) {
	stands, err := d.room.Do(ctx, whoAsks(a), v)
	if err != nil {
		return nil, d.refusal(err)
	}
	return map[string]any{"done": true, "recorded": stands, "notes": unrecorded(stands)}, nil
}

// unrecorded says what a person should know about the log.
func unrecorded(stands bool) []string {
	if stands {
		return []string{}
	}
	return []string{"it holds, but is not in the log yet: the log is away, and gets it when it is back"}
}
