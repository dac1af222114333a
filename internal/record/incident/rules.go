package incident

import (
	"fmt"
	"slices"
	"time"
)

// Rules say when incidents open, come back, rise and end.
type Rules struct {
	// Detectors open an incident at any level; others only at level page.
	Detectors []string
	// Merge is how long after its restoring an incident still takes related findings.
	Merge time.Duration
	// Reopen is how long after its end the same finding opens it again.
	Reopen time.Duration
	// Stable is how long it must stay restored to be called stable.
	Stable time.Duration
	// Escalate is how long it may stay unacknowledged; 0 = never escalated.
	Escalate time.Duration
	// Resolve is how long after its restoring it is resolved without anybody; 0 = never.
	Resolve time.Duration
	// Severe is from which part of transactions going wrong on it is SEV-1 and SEV-2.
	Severe [2]float64
	// Retell is how often an unchanged finding is put into the log again.
	Retell time.Duration
}

// Defaults are the rules that hold where the config says nothing.
func Defaults() Rules {
	return Rules{
		Merge: 10 * time.Minute, Reopen: 30 * time.Minute, Stable: 15 * time.Minute,
		Escalate: 5 * time.Minute, Resolve: 24 * time.Hour, Severe: [2]float64{0.5, 0.05}, Retell: time.Minute,
	}
}

// opens reports whether a finding opens an incident.
func (r *Rules) opens(f *Finding) bool {
	return !f.Cleared && f.Detector != Untaken && (f.Level == Page || slices.Contains(r.Detectors, f.Detector))
}

// Severity is that of an incident in which this part of transactions goes wrong,
// and why.
func (r *Rules) Severity(bad float64) (int, string) {
	for n, from := range r.Severe {
		if bad >= from && from > 0 {
			return n + 1, fmt.Sprintf("%.1f %% of transactions went wrong in the last minute; SEV-%d begins at %g %%", 100*bad, n+1, 100*from)
		}
	}
	return 3, fmt.Sprintf("%.1f %% of transactions went wrong in the last minute", 100*bad)
}

// related reports whether a finding may be of the same trouble: of the same
// upstream, or one of both of none in particular.
func (i *Incident) related(f *Finding) bool {
	if f.Upstream == "" {
		return true
	}
	for n := range i.Findings {
		if up := i.Findings[n].Upstream; up == "" || up == f.Upstream {
			return true
		}
	}
	return len(i.Findings) == 0
}
