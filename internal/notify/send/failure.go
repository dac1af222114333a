package send

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"spillway/internal/notify/alarm"
)

// Verdict is what a failure means for the alarm.
type Verdict int

// Verdicts.
const (
	// Again: the endpoint is away, slow or overloaded; try later.
	Again Verdict = iota
	// Locked: key, token or address are wrong. People must mend the config; the
	// alarm is worth keeping until they have.
	Locked
	// Refused: this very alarm is not taken, and never will be.
	Refused
)

// Failure says why an alarm was not taken. Its text holds no secret.
type Failure struct {
	Verdict Verdict
	Status  int           // of HTTP; 0 when there was no answer
	After   time.Duration // Retry-After; 0 when not said
	Text    string
}

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// longestAnswer is how much of an answer is looked at, in bytes.
const longestAnswer = 4 << 10

// judge reads the answer. A body that never ends costs nothing: only its first
// bytes are read, within the request's time.
func judge(response *http.Response, now time.Time) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, longestAnswer)) // what could be read is shown
	status := response.StatusCode
	if status >= 200 && status < 300 {
		return nil
	}
	f := &Failure{Status: status, Verdict: Refused, Text: fmt.Sprintf("answered %d", status)}
	if words := strings.TrimSpace(alarm.Clip(string(body), 200)); words != "" {
		f.Text += ": " + words
	}
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		f.Verdict, f.After = Again, retryAfter(response.Header.Get("Retry-After"), now)
	case status < 400, status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound,
		status == http.StatusMethodNotAllowed, status == http.StatusProxyAuthRequired, status == http.StatusGone:
		f.Verdict = Locked
	}
	return f
}

// longestRetryAfter bounds what an endpoint may ask for.
const longestRetryAfter = time.Hour

// retryAfter reads seconds or a date (RFC 9110, 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), longestRetryAfter)
}

// unreachable is an error of the connection without the address in it: the
// address of a webhook is its password.
func unreachable(err error) *Failure {
	f := &Failure{Verdict: Again}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		f.Text = "did not answer in time"
	case errors.Is(err, context.Canceled):
		f.Text = "was given up"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.Text = "hung up without an answer"
	default:
		f.Text = alarm.Clip(err.Error(), 300)
	}
	return f
}
