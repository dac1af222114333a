package act

import (
	"fmt"
	"time"
)

// Standing is what actions have put in force. Immutable.
type Standing struct {
	Pauses map[string]StandingPause // by workload
	Limits map[string]StandingLimit // by workload
	Bans   []StandingBan
}

// StandingPause is a pause in force.
type StandingPause struct {
	Queue bool
	Text  string // until when, who and why
}

// StandingLimit is a limit in force.
type StandingLimit struct {
	Slots int
	Text  string // until when, who and why
}

// StandingBan is a ban in force.
type StandingBan struct {
	Fingerprint uint64
	Max         int
	Text        string
}

// text is what clients are told of a standing action.
func (a *Action) text() string {
	text := fmt.Sprintf("until %s by %s", a.Until.UTC().Format(time.RFC3339), a.Who)
	if a.Order.Reason != "" {
		text += ": " + a.Order.Reason
	}
	return text
}

// standingOf makes what is in force of the actions that stand.
func standingOf(list []*Action) *Standing {
	s := &Standing{Pauses: map[string]StandingPause{}, Limits: map[string]StandingLimit{}}
	for _, a := range list {
		if a.State != Stands {
			continue
		}
		switch o := &a.Order; o.Kind {
		case Pause:
			s.Pauses[o.Workload] = StandingPause{o.Queue, a.text()}
		case Limit:
			s.Limits[o.Workload] = StandingLimit{o.Limit, a.text()}
		case Ban:
			if print, err := o.print(); err == nil {
				s.Bans = append(s.Bans, StandingBan{print, o.Max, a.text()})
			}
		case Resume, Kill, Unban, Terminate, Run, Undo: // over once they are done
		}
	}
	return s
}
