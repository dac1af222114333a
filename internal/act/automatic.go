package act

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Finding is what a detector found, as far as actions need it.
type Finding struct {
	Detector    string
	Workload    string
	Fingerprint string
	Text        string
}

// Hear considers a finding without keeping whoever found it waiting.
func (r *Room) Hear(f Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life.Err() != nil || !r.meant(f) {
		return
	}
	r.running.Go(func() {
		if err := r.Consider(r.life, f); err != nil {
			r.Log.Error("automatic action failed", "detector", f.Detector, "workload", f.Workload, "error", err)
		}
	})
}

// meant reports whether some rule names the finding's detector.
func (r *Room) meant(f Finding) bool {
	rules := r.Rules()
	return slices.ContainsFunc(rules.Automatic, func(rule Automatic) bool { return rule.Detector == f.Detector })
}

// Consider does what the config says a finding brings about: nothing, unless it
// names the detector. A rule acts at most once in its Every.
func (r *Room) Consider(ctx context.Context, f Finding) error {
	var failed error
	rules := r.Rules()
	for i := range rules.Automatic {
		rule := &rules.Automatic[i]
		if rule.Detector != f.Detector || !globbed(rule.Workload, f.Workload) || !r.due(rule, time.Now()) {
			continue
		}
		o := rule.Order
		o.Reason = "automatic " + rule.Name + ": " + cut(f.Text, maxText-100)
		switch o.Kind {
		case Pause, Limit:
			o.Workload = f.Workload
		case Ban:
			o.Fingerprint = f.Fingerprint
		case Kill:
			if f.Workload == "" && f.Fingerprint == "" {
				r.Log.Warn("automatic action left out: the finding names neither workload nor statement", "rule", rule.Name, "detector", f.Detector)
				continue // an age alone would hit everybody's
			}
			if o.Select.Workload == "" {
				o.Select.Workload = literal(f.Workload)
			}
			if f.Fingerprint != "" {
				o.Select.Fingerprint = f.Fingerprint
			}
		case Resume, Unban, Terminate, Run, Undo: // as the rule says
		}
		who := Caller{Who: "automatic " + rule.Name, Role: max(Operator, rules.needs(&o))}
		if _, err := r.Do(ctx, who, o); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// due takes the rule's turn, when it has one.
func (r *Room) due(rule *Automatic, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.lastAuto[rule.Name]; ok && now.Sub(last) < rule.Every {
		return false
	}
	r.lastAuto[rule.Name] = now
	return true
}

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && text[most]&0xc0 == 0x80 {
		most--
	}
	return text[:most] + "…"
}
