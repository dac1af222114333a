package config

import (
	"crypto/x509"
	"time"
)

// Channel is a way of telling people: notify.NAME.
type Channel struct {
	Type      string // pagerduty, slack, alertmanager, webhook
	URL       string
	URLFile   string
	Peers     []string // further Alertmanagers
	Key       string   // PagerDuty: routing key; webhook: key of the signature
	KeyFile   string
	Token     string // sent as bearer token
	TokenFile string
	CA        string
	Levels    []string
	Workloads []string // globs
	Detectors []string // globs
	Foreign   bool
	Timeout   time.Duration
	Repeat    time.Duration // -1 inherits

	roots *x509.CertPool
}

// Roots are the certificates that the channel trusts, nil for the machine's.
func (c *Channel) Roots() *x509.CertPool { return c.roots }

// AlarmSource is a monitor that may send alarms: alarms.NAME.
type AlarmSource struct {
	Type      string // alertmanager, sns, webhook
	Token     string
	TokenFile string
	Key       string // of the signature; webhook
	KeyFile   string
	Topics    []string // sns
	Level     string
}
