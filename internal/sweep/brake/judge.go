package brake

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// blindAfter is how long the brakes may see nothing before that is one itself.
const blindAfter = 3 * time.Second

// forgetReplica is how long a replica that went away is waited for.
const forgetReplica = 10 * time.Minute

// Judge turns looks into verdicts. It remembers what a verdict needs of the
// looks before. Not safe for concurrent use.
type Judge struct {
	limits   Limits
	last     Facts
	walAt    []position
	replicas map[string]time.Time // when last seen
	load     load
	latency  latency
}

// position is where the WAL was at a moment.
type position struct {
	at  time.Time
	wal int64
}

// NewJudge makes a judge who knows nothing yet.
func NewJudge(l Limits) *Judge {
	return &Judge{limits: l, replicas: map[string]time.Time{}}
}

// Judge says what pulls after this look.
func (j *Judge) Judge(f Facts) Verdict {
	j.walAt = append(j.walAt, position{f.At, f.WAL})
	if len(j.walAt) > 1200 { // five minutes of four a second: lag beyond that is "more than"
		j.walAt = j.walAt[len(j.walAt)-1200:]
	}
	var rs []Reading
	add := func(name string, level Level, format string, args ...any) {
		if level != Clear {
			rs = append(rs, Reading{name, level, fmt.Sprintf(format, args...)})
		}
	}
	j.judgeReplicas(f, add)
	j.judgeWAL(f, add)
	j.judgeTable(f, add)
	j.judgeServer(f, add)
	j.load.judge(f, j.last, j.limits, add)
	j.latency.judge(f, j.last, j.limits, add)
	j.last = f
	return verdict(rs, f.Busy > 0)
}

// Blind is the verdict when nothing has been seen for a while.
func (j *Judge) Blind(now time.Time, err error) (Verdict, bool) {
	if now.Sub(j.last.At) < blindAfter {
		return Verdict{}, false
	}
	return verdict([]Reading{{"blind", Hard, fmt.Sprintf("the server cannot be looked at: %v", err)}}, true), true
}

func verdict(rs []Reading, shared bool) Verdict {
	slices.SortStableFunc(rs, func(a, b Reading) int { return cmp.Compare(b.Level, a.Level) })
	v := Verdict{Readings: rs, Shared: shared}
	if len(rs) > 0 {
		v.Level = rs[0].Level
	}
	return v
}

type adder func(name string, level Level, format string, args ...any)

// over is Soft from soft on and Hard from hard on; a limit of 0 is none.
func over[N cmp.Ordered](value, soft, hard N) Level {
	var none N
	switch {
	case hard > none && value >= hard:
		return Hard
	case soft > none && value >= soft:
		return Soft
	}
	return Clear
}

func (j *Judge) judgeReplicas(f Facts, add adder) {
	seen := map[string]bool{}
	for _, r := range f.Replicas {
		seen[r.Name] = true
		j.replicas[r.Name] = f.At
		lag := j.lag(r.Replay, f)
		add("replica lag", over(lag, j.limits.LagSoft, j.limits.LagHard), "%s is %s behind, slower from %s, stop at %s", r.Name, short(lag), short(j.limits.LagSoft), short(j.limits.LagHard))
	}
	if j.limits.LagHard == 0 {
		return
	}
	for name, at := range j.replicas {
		gone := f.At.Sub(at)
		switch {
		case seen[name]:
		case gone > forgetReplica:
			delete(j.replicas, name)
		default:
			add("replica lag", Hard, "%s went away %s ago; it is waited for up to %s", name, short(gone), short(forgetReplica))
		}
	}
}

// lag is how long ago the server wrote what the replica replays now. The view
// pg_stat_replication keeps its last answer for a replica that says nothing
// more, so its own lag columns stand still just then.
func (j *Judge) lag(replay int64, f Facts) time.Duration {
	if replay >= f.WAL {
		return 0
	}
	// The first look at which the WAL was beyond what the replica has: since
	// then at the latest there is something it lacks.
	i, _ := slices.BinarySearchFunc(j.walAt, replay+1, func(p position, want int64) int { return cmp.Compare(p.wal, want) })
	if i >= len(j.walAt) {
		return 0
	}
	return f.At.Sub(j.walAt[i].at)
}

func (j *Judge) judgeWAL(f Facts, add adder) {
	for _, s := range f.Slots {
		add("slot retention", over(s.Retained, j.limits.SlotSoft, j.limits.SlotHard), "slot %s keeps %s of WAL, slower from %s, stop at %s", s.Name, Size(s.Retained), Size(j.limits.SlotSoft), Size(j.limits.SlotHard))
	}
	add("archive", over(f.Unarchived, (j.limits.Unarchive+1)/2, j.limits.Unarchive), "%d WAL segments wait for the archive, stop at %d", f.Unarchived, j.limits.Unarchive)
	if j.limits.WALRate == 0 || !f.Archives && len(f.Replicas) == 0 {
		return
	}
	from := position{f.At, f.WAL}
	for i := len(j.walAt) - 1; i >= 0 && f.At.Sub(j.walAt[i].at) <= 2*time.Second; i-- {
		from = j.walAt[i]
	}
	if took := f.At.Sub(from.at); took >= time.Second {
		rate := int64(float64(f.WAL-from.wal) / took.Seconds())
		add("WAL rate", over(rate, j.limits.WALRate, 0), "%s/s, slower from %s/s", Size(rate), Size(j.limits.WALRate))
	}
}

func (j *Judge) judgeTable(f Facts, add adder) {
	if f.LockedBy != 0 {
		add("lock", Hard, "pid %d holds %s on the table", f.LockedBy, f.LockMode)
	}
	if f.Queueing > 0 {
		add("lock", Hard, "%d sessions wait for a lock on the table", f.Queueing)
	}
	if f.Behind > 0 {
		add("lock waits", Soft, "%d sessions wait for rows the sweep holds", f.Behind)
	}
	// A burst of waiters has another cause as a rule, but is no time to add load.
	add("lock waits", over(f.LockWaits, 5, 0), "%d sessions wait for locks, slower from 5", f.LockWaits)
	switch {
	case f.ToPrevent:
		add("autovacuum", Hard, "a vacuum of the table runs to prevent wraparound")
	case f.Vacuuming && f.Busy > 0:
		// Nobody else there, nobody to share the disk with: a long sweep would meet
		// the vacuums that it causes, and crawl beside each of them.
		add("autovacuum", Soft, "a vacuum of the table runs")
	}
}

func (j *Judge) judgeServer(f Facts, add adder) {
	add("oldest xmin", over(f.OldestXmin, j.limits.XminSoft, j.limits.XminHard), "pid %d has a transaction %s old, slower from %s, stop at %s", f.OldestPID, short(f.OldestXmin), short(j.limits.XminSoft), short(j.limits.XminHard))
	if f.DiskKnown {
		level := Clear
		switch {
		case f.DiskFree < j.limits.DiskHard:
			level = Hard
		case f.DiskFree < j.limits.DiskSoft:
			level = Soft
		}
		add("disk", level, "%.1f %% of the data folder's disk is free, slower below %.0f %%, stop below %.0f %%", 100*f.DiskFree, 100*j.limits.DiskSoft, 100*j.limits.DiskHard)
	}
	slots := func(name string, used, usable int) {
		if usable > 0 && j.limits.SlotsUsed > 0 {
			part := float64(used) / float64(usable)
			add("slots", over(part, j.limits.SlotsUsed, (1+j.limits.SlotsUsed)/2), "%d of %d %s in use, slower from %.0f %%, stop at %.0f %%", used, usable, name, 100*j.limits.SlotsUsed, 50*(1+j.limits.SlotsUsed))
		}
	}
	slots("connections of the server", f.Connections, f.MaxSessions)
	if s := f.Sight; s != nil {
		slots("slots of the proxy", s.Used, s.Usable)
		add("queue wait", over(s.QueueWait, j.limits.QueueWait/2, j.limits.QueueWait), "a client waits for a server for %s, stop at %s", short(s.QueueWait), short(j.limits.QueueWait))
	}
}

// short prints a duration for people.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// Size prints bytes for people.
func Size(n int64) string {
	const steps = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/1024, 0
	for value >= 1024 && i < len(steps)-1 {
		value /= 1024
		i++
	}
	return fmt.Sprintf("%.1f %ciB", value, steps[i])
}
