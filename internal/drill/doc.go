// Package drill replays incidents on real servers: PostgreSQL of the machine,
// Spillway as its own process, client programs of other projects. Each drill
// runs bare first, then behind Spillway, with the same load and the same fault
// at the same second, and compares what it measured with what the report of the
// incident tells.
//
// A drill is one file: its story, its set-up, its load, its fault (see leak.go).
// rig starts and ends the servers, load puts load on, gauge measures, outcome
// is the result, show prints it. It is a rehearsal, not a benchmark: it knows no
// figure of another pooler, and never touches a server it has not started.
package drill
