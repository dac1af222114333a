package receive

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"spillway/internal/notify/alarm"
	"spillway/internal/notify/send"
)

// signatureAge is how far a signature's time may be from ours.
const signatureAge = 5 * time.Minute

// webhook takes one alarm in the form that Spillway's own webhooks have; key,
// status and summary are required.
func (r *Receiver) webhook(s Source, m Message) (Taken, error) {
	if s.Key != "" {
		if err := signed(s.Key, m, time.Now()); err != nil {
			return Taken{}, err
		}
	}
	var a alarm.Alarm
	if err := json.Unmarshal(m.Body, &a); err != nil {
		return Taken{}, refuse(http.StatusBadRequest, "the body is no alarm: it is not JSON of its form")
	}
	switch {
	case a.Key == "" || a.Summary == "":
		return Taken{}, refuse(http.StatusBadRequest, "the alarm has no key or no summary")
	case a.Status != alarm.Firing && a.Status != alarm.Resolved:
		return Taken{}, refuse(http.StatusBadRequest, "the status is neither firing nor resolved")
	case a.Level != "" && a.Level != alarm.Warn && a.Level != alarm.Page && a.Level != alarm.Test:
		return Taken{}, refuse(http.StatusBadRequest, "the level is neither warn nor page")
	}
	if a.Level == alarm.Test {
		r.config.Note("alarm.tested", map[string]any{"source": s.Name, "summary": alarm.Clip(a.Summary, 200)})
		return Taken{}, nil
	}
	now := time.Now()
	if a.At.IsZero() || a.At.After(now) {
		a.At = now
	}
	if a.Since.IsZero() || a.Since.After(a.At) {
		a.Since = a.At
	}
	var t Taken
	r.found(s, string(m.Body), a, &t)
	return t, nil
}

// signed holds the signature against the body and the clock.
func signed(key string, m Message, now time.Time) error {
	bad := refuse(http.StatusForbidden, "the signature is missing or wrong")
	given := m.Header.Get(send.SignatureHeader)
	text, _, _ := strings.Cut(strings.TrimPrefix(given, "t="), ",")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return bad
	}
	at := time.Unix(seconds, 0)
	if subtle.ConstantTimeCompare([]byte(given), []byte(send.Sign(key, m.Body, at))) != 1 {
		return bad
	}
	if d := now.Sub(at); d > signatureAge || d < -signatureAge {
		return refuse(http.StatusForbidden, "the signature is from another time than now")
	}
	return nil
}
