// Package alarm is what is told about one trouble: the value that queues keep,
// endpoints are sent and foreign monitors are read into. It does no I/O.
package alarm
