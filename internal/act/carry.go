package act

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// effect is what a kind of action does, in two halves.
type effect struct {
	// preview fills in what would be hit, and refuses.
	preview func(ctx context.Context, a *Action, rules *Rules) error
	// apply brings it about.
	apply func(ctx context.Context, a *Action, rules *Rules) error
}

func (r *Room) effects() map[Kind]effect {
	return map[Kind]effect{
		Pause:     {r.previewPause, r.applyPause},
		Resume:    {r.previewEnd(Pause), r.applyEnd(Pause)},
		Limit:     {r.previewWorkload, r.stand},
		Kill:      {r.previewKill, r.applyKill},
		Ban:       {r.previewBan, r.stand},
		Unban:     {r.previewEnd(Ban), r.applyEnd(Ban)},
		Terminate: {r.previewKill, r.applyKill},
		Run:       {r.previewRun, r.applyRun},
		Undo:      {r.previewUndo, r.applyUndo},
	}
}

// carryOut is the path of every action behind its authorisation.
func (r *Room) carryOut(ctx context.Context, a *Action, rules *Rules) (Action, error) {
	e := r.effects()[a.Order.Kind]
	if a.Order.Kind.stands() {
		a.Until = a.At.Add(time.Duration(a.Order.For))
	}
	if err := e.preview(ctx, a, rules); err != nil {
		r.unclaim(a)
		return Action{}, err
	}
	if a.Order.DryRun {
		a.State, a.Targets = Previewed, len(a.Hits)
		return *a, nil
	}
	if err := r.capped(a, rules); err != nil {
		r.unclaim(a)
		return Action{}, err
	}
	a.Targets = len(a.Hits)
	r.commit(a)
	r.note("action.begun", r.event(ctx, a))
	err := e.apply(ctx, a, rules)
	switch {
	case err != nil:
		a.State, a.Error = Failed, err.Error()
	case a.State == Underway:
		a.State = Done
	}
	a.Targets = len(a.Hits)
	body := r.event(ctx, a)
	a.Observed = body.Observed
	r.remember(a)
	if err != nil {
		r.count(a.Order.Kind, "failed")
		r.note("action.failed", body)
		return *a, fmt.Errorf("%s: %w", a.Order.Kind, err)
	}
	r.count(a.Order.Kind, "applied")
	r.note("action.applied", body)
	r.Log.Info("action", "id", a.ID, "action", a.Order.Kind, "subject", a.Subject, "by", a.Who, "why", a.Order.Reason, "hits", len(a.Hits))
	return *a, nil
}

// capped refuses what hits more than it may.
func (r *Room) capped(a *Action, rules *Rules) error {
	most := rules.MaxTargets
	if a.Order.Max > 0 && (a.Order.Kind == Kill || a.Order.Kind == Terminate) {
		most = min(most, a.Order.Max)
	}
	if len(a.Hits) <= most {
		return nil
	}
	return &Refusal{TooMany, fmt.Sprintf("it would hit %d connections, and the most is %d: nothing was done", len(a.Hits), most),
		"Select fewer, or raise actions.max_targets."}
}

// event is the body of an action's events.
type event struct {
	Summary string `json:"summary"` // all of it in one line, for people
	Action
	Outcomes map[string]int `json:"outcomes,omitempty"`
}

func (r *Room) event(ctx context.Context, a *Action) event {
	e := event{Action: a.brief(), Outcomes: a.outcomes()}
	if r.Observe != nil {
		e.Observed = r.Observe(ctx, &a.Order)
	}
	e.Summary = e.summary()
	return e
}

// summary is who did what, why, to how many, with what result.
func (e *event) summary() string {
	text := fmt.Sprintf("%s %s by %s", e.Order.Kind, e.Subject, e.Who)
	if e.Order.Reason != "" {
		text += " (" + e.Order.Reason + ")"
	}
	text += ": " + string(e.State)
	if !e.Until.IsZero() {
		text += " until " + e.Until.UTC().Format(time.RFC3339)
	}
	if e.Targets > 0 {
		text += fmt.Sprintf(", %d targets", e.Targets)
	}
	for _, outcome := range slices.Sorted(maps.Keys(e.Outcomes)) {
		text += fmt.Sprintf(", %d %s", e.Outcomes[outcome], outcome)
	}
	if e.Guarded > 0 {
		text += fmt.Sprintf(", %d guarded", e.Guarded)
	}
	for _, what := range slices.Sorted(maps.Keys(e.Observed)) {
		text += fmt.Sprintf("; %s now %v", strings.ReplaceAll(what, "_", " "), e.Observed[what])
	}
	if e.Error != "" {
		text += "; " + e.Error
	}
	return text
}

// previewWorkload refuses workloads that are not there.
func (r *Room) previewWorkload(_ context.Context, a *Action, rules *Rules) error {
	if slices.Contains(rules.Workloads, a.Order.Workload) {
		return nil
	}
	hint := "The config names none: see workloads in docs/configuration.md."
	if len(rules.Workloads) > 0 {
		hint = "Workloads are " + strings.Join(rules.Workloads, ", ") + "."
	}
	return &Refusal{Unknown, fmt.Sprintf("there is no workload %q", a.Order.Workload), hint}
}

func (r *Room) previewBan(ctx context.Context, a *Action, _ *Rules) error {
	print, err := a.Order.print()
	if err != nil {
		return err
	}
	if r.Protected != nil {
		if why := r.Protected(print); why != "" {
			return wrong("this statement cannot be banned: "+why, "")
		}
	}
	list, err := r.Ground.Holders(ctx)
	if err != nil {
		return err
	}
	for _, h := range list {
		if samePrint(h.Fingerprint, a.Order.Fingerprint) {
			a.Hits = append(a.Hits, Hit{Holder: h})
		}
	}
	return nil
}

// stand makes an action stand, in place of an earlier one of its kind and subject.
func (r *Room) stand(_ context.Context, a *Action, _ *Rules) error {
	r.mu.Lock()
	for _, old := range r.standingLocked(a.Order.Kind, a.Order.Subject()) {
		old.State, old.EndedAt, old.EndedBy = Replaced, time.Now().Round(0), "action "+a.ID
	}
	a.State = Stands
	r.commitLocked(a)
	r.mu.Unlock()
	return r.enforce(a)
}

// enforce puts what stands in force, and keeps it for the next process.
func (r *Room) enforce(a *Action) error {
	r.mu.Lock()
	r.standing.Store(standingOf(r.actions))
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	var failed error
	if r.Enforce != nil {
		failed = r.Enforce()
	}
	if err := r.keep(); err != nil {
		r.Log.Error("actions not kept: what stands ends with this process", "error", err)
		if a != nil {
			a.Notes = append(a.Notes, "not kept on disk: it ends with this process: "+err.Error())
		}
	}
	return failed
}

func (r *Room) remember(a *Action) {
	r.commit(a)
	if err := r.keep(); err != nil {
		r.Log.Error("actions not kept", "error", err)
	}
}

func (r *Room) commit(a *Action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commitLocked(a)
}

// commitLocked lists a copy of the action, which whoever carries it out goes on
// to change. An end that came meanwhile stays.
func (r *Room) commitLocked(a *Action) {
	record := r.findLocked(a.ID)
	if record == nil {
		if record = r.keys[a.Order.Key]; record == nil || record.ID != a.ID {
			record = new(Action)
		}
		r.actions = append(r.actions, record)
	}
	ended := record.EndedAt
	state, by := record.State, record.EndedBy
	*record = *a
	record.Hits, record.Notes = slices.Clone(a.Hits), slices.Clone(a.Notes)
	if !ended.IsZero() {
		record.State, record.EndedAt, record.EndedBy = state, ended, by
	}
	r.forgetLocked(record)
}

// forgetLocked drops the oldest actions that do not stand.
func (r *Room) forgetLocked(but *Action) {
	for _, old := range r.actions[:max(0, len(r.actions)-maxDetailed)] {
		old.Hits = nil
	}
	surplus := len(r.actions) - maxListed
	if surplus <= 0 {
		return
	}
	r.actions = slices.DeleteFunc(r.actions, func(old *Action) bool {
		if surplus <= 0 || old.State == Stands || old.State == Underway || old == but {
			return false
		}
		surplus--
		delete(r.keys, old.Order.Key)
		return true
	})
}

// standingLocked are the actions of a kind and subject that stand.
func (r *Room) standingLocked(kind Kind, subject string) []*Action {
	var list []*Action
	for _, a := range r.actions {
		if a.State == Stands && a.Order.Kind == kind && a.Order.Subject() == subject {
			list = append(list, a)
		}
	}
	return list
}

func (r *Room) previewEnd(kind Kind) func(context.Context, *Action, *Rules) error {
	return func(_ context.Context, a *Action, _ *Rules) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		list := r.standingLocked(kind, a.Order.Subject())
		if len(list) == 0 {
			return &Refusal{Unknown, fmt.Sprintf("no %s of %q stands", kind, a.Order.Subject()), "`spillway actions` lists those that do."}
		}
		for _, old := range list {
			a.Notes = append(a.Notes, fmt.Sprintf("ends %s %s, %s", kind, old.ID, old.text()))
		}
		return nil
	}
}

func (r *Room) applyEnd(kind Kind) func(context.Context, *Action, *Rules) error {
	return func(_ context.Context, a *Action, _ *Rules) error {
		r.mu.Lock()
		for _, old := range r.standingLocked(kind, a.Order.Subject()) {
			old.State, old.EndedAt, old.EndedBy = Undone, time.Now().Round(0), a.Who
		}
		r.mu.Unlock()
		return r.enforce(a)
	}
}

func (r *Room) previewUndo(_ context.Context, a *Action, _ *Rules) error {
	old, err := r.Get(a.Order.Action)
	if err != nil {
		return err
	}
	if old.State != Stands {
		return wrong(fmt.Sprintf("action %s does not stand: it is %s", old.ID, old.State), "What was cancelled or run cannot be undone.")
	}
	a.Notes = append(a.Notes, fmt.Sprintf("ends %s of %s, %s", old.Order.Kind, old.Order.Subject(), old.text()))
	return nil
}

func (r *Room) applyUndo(_ context.Context, a *Action, _ *Rules) error {
	r.mu.Lock()
	if old := r.findLocked(a.Order.Action); old != nil && old.State == Stands {
		old.State, old.EndedAt, old.EndedBy = Undone, time.Now().Round(0), a.Who
	}
	r.mu.Unlock()
	return r.enforce(a)
}
