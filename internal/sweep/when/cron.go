package when

import (
	"fmt"
	"strings"
	"time"

	"github.com/adhocore/gronx"
)

// Schedule is a cron expression in a time zone.
type Schedule struct {
	expression string
	zone       *time.Location
}

// ParseSchedule reads five fields (minute hour day month weekday), or a tag such
// as @daily. A nil zone is UTC.
func ParseSchedule(expression string, zone *time.Location) (*Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	expression = strings.TrimSpace(expression)
	if n := len(strings.Fields(expression)); !strings.HasPrefix(expression, "@") && n != 5 {
		return nil, fmt.Errorf("schedule %q has %d fields, not the five of cron: minute hour day month weekday", expression, n)
	}
	if len(expression) > 200 || !gronx.IsValid(expression) {
		return nil, fmt.Errorf("schedule %.200q is no cron expression, such as \"*/10 * * * *\" or @daily", expression)
	}
	s := &Schedule{expression, zone}
	if _, err := s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, zone)); err != nil {
		return nil, err
	}
	return s, nil
}

// Next is the first time after at. When clocks go forward, a time that does not
// exist is the one the zone's rules make of it; when they go back, a time that
// comes twice counts once.
func (s *Schedule) Next(at time.Time) (time.Time, error) {
	// The calendar is walked without a zone, where each minute is there once.
	local := at.In(s.zone)
	wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC)
	for range 100 {
		next, err := gronx.NextTickAfter(s.expression, wall, false)
		if err != nil {
			return time.Time{}, fmt.Errorf("schedule %q never comes", s.expression)
		}
		when := time.Date(next.Year(), next.Month(), next.Day(), next.Hour(), next.Minute(), 0, 0, s.zone)
		if when.After(at) {
			return when, nil
		}
		wall = next
	}
	return time.Time{}, fmt.Errorf("schedule %q has no time after %s", s.expression, at)
}
