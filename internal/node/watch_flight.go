package node

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"spillway/internal/web"
)

// flightView is the answer about the flight recorder. Values are null where
// they were not known.
type flightView struct {
	At     time.Time    `json:"at"`
	From   time.Time    `json:"from"`
	To     time.Time    `json:"to"`
	Series []seriesView `json:"series"`
	Names  []string     `json:"names,omitempty"` // of all series, where none was asked for
}

type seriesView struct {
	Name   string    `json:"name"`
	Step   float64   `json:"step_seconds"`
	First  time.Time `json:"first_at"`
	Values values    `json:"values"`
}

// values are numbers with null for those that are none.
type values []float64

// MarshalJSON implements json.Marshaler.
func (v values) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 8*len(v)+2)
	b = append(b, '[')
	for i, n := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(n) || math.IsInf(n, 0) {
			b = append(b, "null"...)
			continue
		}
		b = strconv.AppendFloat(b, n, 'g', 7, 64)
	}
	return append(b, ']'), nil
}

var _ json.Marshaler = values(nil)

// flightSpan is how much is answered when nobody says.
const flightSpan = 5 * time.Minute

// flight answers GET flight?series=PREFIX,…&from=…&to=…; times are RFC 3339, or
// durations before now.
func (d *watchDesk) flight(_ context.Context, a *web.Ask) (any, error) {
	now := time.Now()
	from, err := momentOf(a.Query.Get("from"), now, now.Add(-flightSpan))
	if err != nil {
		return nil, err
	}
	to, err := momentOf(a.Query.Get("to"), now, now)
	if err != nil {
		return nil, err
	}
	if to.Before(from) {
		return nil, web.Refuse(http.StatusBadRequest, "from is after to", "")
	}
	v := flightView{At: now, From: from, To: to, Series: []seriesView{}}
	wanted := a.Query.Get("series")
	if wanted == "" {
		v.Names = d.recorder.Names()
		return v, nil
	}
	for _, s := range d.recorder.Between(from, to, strings.Split(wanted, ",")...) {
		if len(s.Times) > 0 {
			v.Series = append(v.Series, seriesView{s.Name, s.Step.Seconds(), s.Times[0], s.Values})
		}
	}
	return v, nil
}

func momentOf(text string, now, usual time.Time) (time.Time, error) {
	if text == "" {
		return usual, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, web.Refuse(http.StatusBadRequest, fmt.Sprintf("%q is neither a time nor a duration", text), "Write 2026-11-21T03:00:00Z, or 10m for ten minutes ago.")
}

// postgresView is what the servers say of themselves, as it was read last.
func (d *watchDesk) postgresView(context.Context, *web.Ask) (any, error) {
	f := d.frameNow()
	if f == nil {
		return nil, web.Refuse(http.StatusServiceUnavailable, "nothing has been seen yet", "Ask again in a second.")
	}
	return map[string]any{"at": f.At, "items": f.Postgres}, nil
}
