// Package when knows at which times a sweep may run: a cron expression in a
// time zone, and a window of the day. It has no clock: the time is an argument.
package when
