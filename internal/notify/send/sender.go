package send

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"spillway/internal/notify/alarm"
)

// Kind is what an endpoint speaks.
type Kind string

// Kinds.
const (
	PagerDuty    Kind = "pagerduty"
	Slack        Kind = "slack"
	Alertmanager Kind = "alertmanager"
	Webhook      Kind = "webhook"
)

// PagerDutyURL is where PagerDuty takes events, for accounts outside the EU.
const PagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

// Endpoint is one address and how it is spoken to.
type Endpoint struct {
	Kind  Kind
	URL   string         // "" = PagerDutyURL for PagerDuty
	Key   string         // PagerDuty: routing key; webhook: key of the signature, "" = unsigned
	Token string         // bearer token; "" = none
	CA    *x509.CertPool // nil = the machine's
	// Region and Node name the sender in what is sent.
	Region, Node string
	// Repeat is after what time an Alertmanager is told again; it forgets an
	// alarm that is not repeated three times in a row.
	Repeat time.Duration
}

// Sender sends to one endpoint. Safe from any goroutine.
type Sender struct {
	endpoint Endpoint
	target   *url.URL
	http     *http.Client
}

// Bounds of one connection; the request as a whole is bounded by the caller's
// context.
const (
	dialTimeout = 5 * time.Second
	idleTimeout = 30 * time.Second
)

// New makes a sender; nothing is connected.
func New(e Endpoint) (*Sender, error) {
	if e.URL == "" && e.Kind == PagerDuty {
		e.URL = PagerDutyURL
	}
	target, err := url.Parse(e.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		// The error of url.Parse repeats the address.
		return nil, errors.New("read address: it is not like https://host/path")
	}
	if e.Kind == Alertmanager {
		target = target.JoinPath("api/v2/alerts")
	}
	return &Sender{endpoint: e, target: target, http: &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: e.CA, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialTimeout,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: 64 << 10,
		},
		// A redirect would carry key and body to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Host is the endpoint's host and port, which is no secret.
func (s *Sender) Host() string { return s.target.Host }

// Close gives connections back. The sender can be used on.
func (s *Sender) Close() { s.http.CloseIdleConnections() }

// Reach asks the endpoint's host for its front page, which any answer will do
// for: the way there is open, and its certificate is right. Nothing secret is sent.
func (s *Sender) Reach(ctx context.Context) error {
	front := url.URL{Scheme: s.target.Scheme, Host: s.target.Host, Path: "/"}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, front.String(), nil)
	if err != nil {
		return &Failure{Verdict: Locked, Text: "make request"}
	}
	response, err := s.http.Do(request)
	if err != nil {
		return unreachable(err)
	}
	return response.Body.Close()
}

// Send puts the alarm to the endpoint. The error is a *Failure.
func (s *Sender) Send(ctx context.Context, a alarm.Alarm) error {
	body, header, err := s.render(a)
	if err != nil {
		return &Failure{Verdict: Refused, Text: err.Error()}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.target.String(), bytes.NewReader(body))
	if err != nil {
		return &Failure{Verdict: Refused, Text: "make request"}
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "spillway")
	if s.endpoint.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.endpoint.Token)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return unreachable(err)
	}
	defer response.Body.Close()
	return judge(response, time.Now())
}

func (s *Sender) render(a alarm.Alarm) ([]byte, http.Header, error) {
	header := http.Header{}
	var body []byte
	var err error
	switch s.endpoint.Kind {
	case PagerDuty:
		body, err = s.pagerDuty(a)
	case Slack:
		body, err = s.slack(a)
	case Alertmanager:
		body, err = s.alertmanager(a)
	case Webhook:
		body, err = s.webhook(a, header)
	default:
		err = fmt.Errorf("there is no kind %q", s.endpoint.Kind)
	}
	return body, header, err
}
