package node

import (
	"context"
	"errors"
	"time"

	"spillway/internal/act"
	"spillway/internal/console"
)

// actionsLink is the console's way to actions. It is made before them and filled
// in before anything starts.
type actionsLink struct{ desk *actDesk }

// Act implements console.Actions. Who may use the console's verbs is an admin of
// it, and acts as an operator: what lies beyond the proxy stays the API's.
func (l *actionsLink) Act(ctx context.Context, user string, o console.Order) (console.Deed, error) {
	done, err := l.desk.room.Do(ctx, act.Caller{Who: "console user " + user, Role: act.Operator}, consoleOrder(&o))
	var refusal *act.Refusal
	if errors.As(err, &refusal) {
		return console.Deed{}, &console.Refused{Message: refusal.Text, Hint: refusal.Hint}
	}
	return deedOf(&done), err
}

// verbed puts a verb of PgBouncer's into the record.
func (l *actionsLink) verbed(ctx context.Context, user, verb string, err error) {
	body := map[string]any{"verb": verb, "who": "console user " + user}
	if err != nil {
		body["error"] = err.Error()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), verbedWait)
	defer cancel()
	if err := l.desk.note(ctx, "verb.asked", body); err != nil {
		l.desk.log.Error("event not recorded", "kind", "verb.asked", "error", err)
	}
}

// verbedWait is how long the record may take.
const verbedWait = 2 * time.Second

// Deeds implements console.Actions.
func (l *actionsLink) Deeds() []console.Deed {
	list := l.desk.room.List()
	deeds := make([]console.Deed, len(list))
	for i := range list {
		deeds[i] = deedOf(&list[i])
	}
	return deeds
}

func consoleOrder(o *console.Order) act.Order {
	out := act.Order{Kind: act.Kind(o.Kind), Queue: o.Queue, Cancel: o.Cancel, Limit: o.Limit, Fingerprint: o.Fingerprint, Max: o.Max, Action: o.Action,
		Grace: act.Duration(o.Grace), For: act.Duration(o.For), Reason: o.Reason, DryRun: o.DryRun}
	if out.Kind != act.Kill {
		out.Workload = o.Workload
		return out
	}
	out.Fingerprint = ""
	out.Select = act.Selection{Workload: o.Workload, User: o.User, Database: o.Database, Application: o.Application, State: o.State,
		OlderThan: act.Duration(o.OlderThan), Fingerprint: o.Fingerprint}
	if o.PID != 0 {
		out.Select.PIDs = []int{o.PID}
	}
	return out
}

func deedOf(a *act.Action) console.Deed {
	d := console.Deed{ID: a.ID, Action: string(a.Order.Kind), Subject: a.Subject, State: string(a.State), Who: a.Who, Reason: a.Order.Reason,
		At: a.At, Until: a.Until, Targets: a.Targets, Guarded: a.Guarded, Error: a.Error, Notes: a.Notes}
	for i := range a.Hits {
		h := &a.Hits[i]
		d.Hits = append(d.Hits, console.Hit{PID: h.PID, Workload: h.Workload, User: h.User, Database: h.Database, Application: h.Application,
			State: h.State, Fingerprint: h.Fingerprint, SQL: h.SQL, Outcome: h.Outcome, Upstream: h.Server, Since: h.Since()})
	}
	return d
}

// heard takes a finding to the rules of the config. It must not block whoever
// found it; the room bounds how much is under way.
func (d *actDesk) heard(f finding) {
	if f.Cleared {
		return
	}
	d.room.Hear(act.Finding{Detector: f.Detector, Workload: f.Workload, Fingerprint: f.Fingerprint, Text: f.Summary})
}
