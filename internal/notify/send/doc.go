// Package send puts one alarm to one endpoint by one HTTP request: PagerDuty
// Events v2, a Slack webhook, Alertmanager's API v2 or a signed webhook.
//
// It owns the bodies, the signature, and what an answer means: taken, to be
// tried again (and when), or refused. It keeps no queue, does not retry, and
// its errors never hold an address or a key: those can be secrets.
package send
