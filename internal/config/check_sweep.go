package config

import (
	"fmt"
	"time"

	"spillway/internal/sweep/when"
)

func (k *checker) checkSweeps() {
	for _, name := range sortedKeys(k.c.Sweeps) {
		s, path := k.c.Sweeps[name], join("sweeps", name)
		k.settleSweepServer(path, s)
		if s.Table == "" && !k.broken(join(path, "table")) {
			k.fail(path, complaint{what: fmt.Sprintf("sweep %s names no table", quoteKey(name)), mend: "table: public.sessions"})
		}
		if s.Where == "" && !k.broken(join(path, "where")) {
			k.fail(path, complaint{what: fmt.Sprintf("sweep %s has no condition", quoteKey(name)), why: "it would delete every row", mend: `where: "expires_at < now()"`})
		}
		if s.Share < 1 || s.Share > 100 {
			k.fail(join(path, "share"), complaint{what: "share is not between 1% and 100%", mend: "share: 25%"})
		}
		k.checkSweepTimes(path, s)
	}
}

func (k *checker) settleSweepServer(path string, s *Sweep) {
	d := Database{Server: s.Server}
	k.settleServer(path, &d)
	s.Server = d.Server
}

func (k *checker) checkSweepTimes(path string, s *Sweep) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		k.fail(join(path, "time_zone"), complaint{what: fmt.Sprintf("time zone %q is not known", s.TimeZone), mend: "time_zone: Europe/Berlin, or UTC"})
		return
	}
	if _, err := when.ParseWindow(s.Window, zone); err != nil {
		k.fail(join(path, "window"), complaint{what: err.Error(), mend: "window: 22:00-06:00"})
	}
	if s.Schedule == "" {
		return
	}
	if s.plan, err = when.ParseSchedule(s.Schedule, zone); err != nil {
		k.fail(join(path, "schedule"), complaint{what: err.Error(), mend: `schedule: "*/10 * * * *"`})
	}
}
