// Package pgtest runs real servers for tests, benchmarks and drills: a private
// PostgreSQL (with replicas), the distribution's PgBouncer, and the built
// spillway binary, each on a free loopback port with its files in a short
// temporary folder.
//
// It owns processes, their folders and their captured logs. It does not know
// the wire protocol, does not assert anything about behaviour, and is never
// imported by production code.
//
// Two ways in: functions that take a testing.TB fail the test and clean up by
// themselves; Launch functions take a Logf, return errors, and leave Stop to
// the caller. A missing program is a fatal error that names the package to
// install, never a skip.
package pgtest
