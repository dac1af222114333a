// Package alerts drives the built binary's alarms from both ends: a monitor
// that posts alarms to its admin address, endpoints that are told of them and
// that hang, fail and reset, kill -9 in between, and strangers.
package alerts
