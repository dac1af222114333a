// Package console is the PgBouncer-compatible admin database: what a client of
// database "pgbouncer" (or "spillway") talks to. It answers SHOW, the verbs and
// what drivers ask at start-up, over the simple and the extended protocol, from
// the proxy's snapshots and through the proxy's verbs.
//
// It owns the console's language (parse.go), its table of commands with the
// rights they need (commands.go), the columns of every SHOW, exact in name,
// type and order, and the protocol state of one console session (session.go,
// extended.go).
//
// It does no I/O: a message comes in, the reply is appended to a buffer. It
// authenticates nobody, runs no SQL, keeps no statistics of its own and knows
// neither config files nor how a shutdown is done; node joins those in through
// Settings and Control. SHOW FDS does not exist here: in PgBouncer it sends
// passwords, SCRAM keys and cancel keys.
package console
