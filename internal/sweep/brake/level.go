package brake

import (
	"strings"
	"time"
)

// Level is how hard a brake pulls.
type Level uint8

// Levels.
const (
	Clear Level = iota
	Soft        // the pace halves, every second anew
	Hard        // nothing runs
)

// String implements fmt.Stringer.
func (l Level) String() string { return [...]string{"clear", "soft", "hard"}[min(l, Hard)] }

// Reading is one brake that pulls.
type Reading struct {
	Name  string `json:"name"` // such as "replica lag"
	Level Level  `json:"level"`
	Text  string `json:"text"` // what is seen, and what is allowed
}

// Verdict is all brakes together.
type Verdict struct {
	Level    Level
	Readings []Reading // those that pull, hardest first
	Shared   bool      // others use the server now
}

// String names what holds the sweep; "" when nothing does.
func (v Verdict) String() string {
	texts := make([]string, 0, len(v.Readings))
	for _, r := range v.Readings {
		texts = append(texts, r.Name+": "+r.Text)
	}
	return strings.Join(texts, "; ")
}

// Names are the brakes that pull.
func (v Verdict) Names() []string {
	names := make([]string, 0, len(v.Readings))
	for _, r := range v.Readings {
		names = append(names, r.Name)
	}
	return names
}

// Limits say when brakes pull. The zero value of a field turns its brake off.
type Limits struct {
	LagSoft   time.Duration `json:"lag_soft"`
	LagHard   time.Duration `json:"lag_hard"` // gh-ost holds at 1.5 s, Vitess and this at 5 s
	SlotSoft  int64         `json:"slot_soft"`
	SlotHard  int64         `json:"slot_hard"` // bytes of WAL a replication slot keeps
	Unarchive int           `json:"unarchived"`
	WALRate   int64         `json:"wal_rate"`   // bytes/s; looked at where WAL goes on to replicas or an archive
	XminSoft  time.Duration `json:"xmin_soft"`  // age of the oldest transaction that keeps dead rows alive
	XminHard  time.Duration `json:"xmin_hard"`  //
	SlotsUsed float64       `json:"slots_used"` // part of the connections in use
	QueueWait time.Duration `json:"queue_wait"` // of a client for a server, as the proxy sees it
	P99Rise   float64       `json:"p99_rise"`   // over what it is while the sweep rests: 0.1 is +10 %
	LoadRise  float64       `json:"load_rise"`  // of the transactions a second: 0.5 is +50 %
	DiskSoft  float64       `json:"disk_soft"`  // free part of the data folder's disk, where that is local
	DiskHard  float64       `json:"disk_hard"`
}

// Defaults are the limits of a sweep that is told nothing else. 42 segments are
// GitLab's; the rest was measured here or is named beside the field.
func Defaults() Limits {
	return Limits{
		LagSoft: time.Second, LagHard: 5 * time.Second,
		SlotSoft: 1 << 30, SlotHard: 4 << 30,
		Unarchive: 42, WALRate: 64 << 20,
		XminSoft: 10 * time.Minute, XminHard: time.Hour,
		SlotsUsed: 0.8, QueueWait: 20 * time.Millisecond,
		P99Rise: 0.1, LoadRise: 0.5,
		DiskSoft: 0.1, DiskHard: 0.05,
	}
}
