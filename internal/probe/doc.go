// Package probe looks at things and keeps what it saw: PostgreSQL servers over
// few kept connections, HTTP and TCP targets, the machine. Each probe runs by
// itself with its own limit of time; one that hangs or fails holds up no other,
// and its values are withdrawn, not repeated. The flight recorder keeps numbers
// of the last minutes and hours in bounded memory.
//
// It judges nothing (detect does), writes nothing to disk, and changes nothing
// on what it looks at.
package probe
