// Package receive takes in alarms of other monitors: Alertmanager's webhook
// (version 4), CloudWatch alarms through SNS, and a webhook of our own form.
//
// It owns who may send (token, signature), how much, how old and how often, and
// turns what is left into alarm.Alarm. It trusts nothing of a body before the
// sender is proven: no address in it is asked but those of Amazon's SNS that
// signature and topic have vouched for.
//
// It listens on nothing (web does), and decides nothing about what it is told.
package receive
