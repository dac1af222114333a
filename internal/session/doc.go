// Package session is the core of a pooled session: what a client and a server
// are in the middle of. It is asked once for each message, at its header, and
// answers with a value: pass it on, replace its head, drop it, get a server
// first. It does no I/O, has no clock and allocates nothing in steady state.
//
// A Server keeps an ordered ring of the replies it still owes (ops.go). Each
// message sent to it adds what it will answer; each answer removes it. From
// that ring follow the release rule (Server.Clean), where a reply made by us
// must stand among the server's own, and which prepared statements exist after
// an error skipped part of a pipeline.
//
// It does not choose servers (schedule), move bytes (proxy) or read SQL
// (statement).
package session
