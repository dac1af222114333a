package node

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"spillway/internal/record"
	recorded "spillway/internal/record/event"
	"spillway/internal/record/incident"
	"spillway/internal/record/report"
	"spillway/internal/web"
)

// Waits of the record's routes.
const (
	verifyWait  = 10 * time.Minute // a gigabyte is read and hashed
	resolveWait = time.Minute      // smoke checks run
)

// routes are the API of the record.
func (d *recordDesk) routes() []web.Route {
	get := func(path string, answer func(ctx context.Context, a *web.Ask) (any, error)) web.Route {
		return web.Route{Method: http.MethodGet, Path: path, Answer: answer}
	}
	post := func(path string, answer func(ctx context.Context, a *web.Ask) (any, error)) web.Route {
		return web.Route{Method: http.MethodPost, Path: path, Role: web.Operator, Answer: answer}
	}
	verify := get("record/verify", d.verify)
	verify.Wait = verifyWait
	resolve := post("incidents/{id}/resolve", d.resolve)
	resolve.Wait = resolveWait
	return []web.Route{
		get("incidents", d.list),
		get("incidents/{id}", func(ctx context.Context, a *web.Ask) (any, error) { return d.make(ctx, a.Path("id")) }),
		get("incidents/{id}/report", d.report),
		get("record", func(context.Context, *web.Ask) (any, error) { return d.room.State(), nil }),
		get("items", func(context.Context, *web.Ask) (any, error) {
			return map[string]any{"at": time.Now(), "items": d.room.Items()}, nil
		}),
		verify, resolve,
		post("incidents", d.declare),
		post("changes", d.change),
		post("incidents/{id}/ack", d.ack),
		post("incidents/{id}/note", d.noteIt),
		post("incidents/{id}/impact", d.impact),
		post("incidents/{id}/commander", d.commander),
		post("incidents/{id}/join", d.join),
		post("incidents/{id}/severity", d.severity),
		post("incidents/{id}/escalate", d.escalate),
		post("incidents/{id}/reopen", d.reopen),
		post("incidents/{id}/items", d.item),
	}
}

func (d *recordDesk) list(context.Context, *web.Ask) (any, error) {
	return map[string]any{"at": time.Now(), "items": d.room.List()}, nil
}

func (d *recordDesk) verify(ctx context.Context, a *web.Ask) (any, error) {
	v, err := d.room.Verify(ctx, a.Query.Get("head"))
	if err != nil {
		return nil, d.refusal(err)
	}
	return map[string]any{"valid": v.Valid(), "chain": v}, nil
}

// Written is a report with its files.
type Written struct {
	Report   report.Report     `json:"report"`
	Markdown string            `json:"markdown"`
	Charts   map[string]string `json:"charts"` // by file name
}

func (d *recordDesk) report(ctx context.Context, a *web.Ask) (any, error) {
	made, err := d.make(ctx, a.Path("id"))
	if err != nil {
		return nil, err
	}
	charts := report.Charts(&made)
	return Written{made, report.Markdown(&made, charts), charts}, nil
}

func (d *recordDesk) resolve(ctx context.Context, a *web.Ask) (any, error) {
	var asked incident.ReasonBody
	if err := a.Decode(&asked); err != nil {
		return nil, err
	}
	run, stands, err := d.room.Resolve(ctx, a.Path("id"), asked.Reason, whoAsks(a))
	if err != nil {
		return nil, d.refusal(err)
	}
	return map[string]any{"done": true, "recorded": stands, "notes": unrecorded(stands), "smoke": run}, nil
}

// mostBy is the longest name that somebody gives.
const mostBy = 60

// whoAsks is the caller, behind the name that they say is theirs: over the local
// socket several people are one uid.
func whoAsks(a *web.Ask) string {
	by := strings.ToValidUTF8(strings.TrimSpace(a.Query.Get("by")), "")
	if by == "" || len(by) > mostBy {
		return a.Caller.Who
	}
	return by + " (" + a.Caller.Who + ")"
}

// opening is the body of a declaration.
type opening struct {
	Title    string    `json:"title"`
	Severity int       `json:"severity"`
	Started  time.Time `json:"started"`
}

func (d *recordDesk) declare(ctx context.Context, a *web.Ask) (any, error) {
	var o opening
	if err := a.Decode(&o); err != nil {
		return nil, err
	}
	var opened string
	stands, err := d.room.Do(ctx, whoAsks(a), func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		id, drafts, err := b.Open(o.Title, o.Severity, o.Started, asker)
		opened = id
		return drafts, err
	})
	if err != nil {
		return nil, d.refusal(err)
	}
	return map[string]any{"done": true, "id": opened, "recorded": stands, "notes": unrecorded(stands)}, nil
}

// change puts a marker of a change elsewhere (a deployment, a migration) into
// the record: incidents after it name it.
func (d *recordDesk) change(ctx context.Context, a *web.Ask) (any, error) {
	var marker struct {
		Text string    `json:"text"`
		When time.Time `json:"when,omitzero"`
		Link string    `json:"link,omitempty"`
		Who  string    `json:"who"`
	}
	if err := a.Decode(&marker); err != nil {
		return nil, err
	}
	marker.Who = whoAsks(a)
	if strings.TrimSpace(marker.Text) == "" || marker.When.After(time.Now().Add(time.Minute)) {
		return nil, web.Refuse(http.StatusBadRequest, "a change needs a text, and a time that is not in the future", "")
	}
	err := d.note(ctx, "change.noted", marker)
	if err != nil && !errors.Is(err, record.ErrUnwritten) {
		return nil, d.refusal(err)
	}
	return map[string]any{"done": true, "recorded": err == nil, "notes": unrecorded(err == nil)}, nil
}

func (d *recordDesk) ack(ctx context.Context, a *web.Ask) (any, error) {
	return d.do(ctx, a, func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		return b.Ack(a.Path("id"), asker)
	})
}

func (d *recordDesk) noteIt(ctx context.Context, a *web.Ask) (any, error) {
	var n incident.NotedBody
	if err := a.Decode(&n); err != nil {
		return nil, err
	}
	return d.do(ctx, a, func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		return b.Note(a.Path("id"), n, asker)
	})
}

func (d *recordDesk) impact(ctx context.Context, a *web.Ask) (any, error) {
	var said incident.DeclaredBody
	if err := a.Decode(&said); err != nil {
		return nil, err
	}
	if said.Users != nil {
		said.Users.Who = whoAsks(a)
	}
	return d.do(ctx, a, func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		return b.Declare(a.Path("id"), said, asker)
	})
}

func (d *recordDesk) commander(ctx context.Context, a *web.Ask) (any, error) {
	var who incident.NamedBody
	if err := a.Decode(&who); err != nil {
		return nil, err
	}
	return d.do(ctx, a, func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		return b.Command(a.Path("id"), who.Name, asker)
	})
}

func (d *recordDesk) join(ctx context.Context, a *web.Ask) (any, error) {
	var who incident.NamedBody
	if err := a.Decode(&who); err != nil {
		return nil, err
	}
	return d.do(ctx, a, func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		return b.Join(a.Path("id"), who, asker)
	})
}

func (d *recordDesk) severity(ctx context.Context, a *web.Ask) (any, error) {
	var r incident.RatedBody
	if err := a.Decode(&r); err != nil {
		return nil, err
	}
	return d.do(ctx, a, func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		return b.Rate(a.Path("id"), r, asker)
	})
}

func (d *recordDesk) escalate(ctx context.Context, a *web.Ask) (any, error) {
	var why incident.ReasonBody
	if err := a.Decode(&why); err != nil {
		return nil, err
	}
	return d.do(ctx, a, func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		return b.Escalate(a.Path("id"), why.Reason, asker)
	})
}

func (d *recordDesk) reopen(ctx context.Context, a *web.Ask) (any, error) {
	var why incident.ReasonBody
	if err := a.Decode(&why); err != nil {
		return nil, err
	}
	return d.do(ctx, a, func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		return b.Reopen(a.Path("id"), why.Reason, asker)
	})
}

func (d *recordDesk) item(ctx context.Context, a *web.Ask) (any, error) {
	var item incident.Item
	if err := a.Decode(&item); err != nil {
		return nil, err
	}
	n := 0
	stands, err := d.room.Do(ctx, whoAsks(a), func(b *incident.Book, asker incident.Asker) ([]recorded.Event, error) {
		number, drafts, err := b.SetItem(a.Path("id"), item, asker)
		n = number
		return drafts, err
	})
	if err != nil {
		return nil, d.refusal(err)
	}
	return map[string]any{"done": true, "n": n, "recorded": stands, "notes": unrecorded(stands)}, nil
}

// What the command line prints; it reaches the room through these.
type (
	IncidentReport = report.Report
	IncidentFigure = report.Figure
)
