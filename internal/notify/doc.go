// Package notify tells people, and hears from other monitors. Findings go out to
// channels (PagerDuty, Slack, Alertmanager, a webhook: package send); alarms of
// others come in (Alertmanager, CloudWatch through SNS, a webhook: package
// receive).
//
// It owns the queue of each endpoint: bounded, in order per key, without
// repetition, retried, kept over a restart. Whoever brings an alarm never
// waits: Take puts it into the queue and returns. A queue is worked off by one
// goroutine, so an endpoint that hangs holds up nobody but itself, and an
// endpoint that fails is a trouble reported by Found.
//
// It does not decide what is wrong (detect), keeps no record of what happened
// (record), and reads no config file.
package notify
