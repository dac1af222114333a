// Package isolation lets many clients change parameters, roles, prepared
// statements, temporary tables, locks and open transactions through few
// servers, and die at random points. Each client keeps a model of what it has
// done and compares what it sees with it: a difference is another client's
// state. In the end the books must balance: nothing uncommitted in the tables,
// no lock and no transaction left, no server lost, and as many servers as
// PostgreSQL counts.
//
// SPILLWAY_ISOLATION sets how long the whole suite runs (default 60s), shared
// among the kinds of poolers.
package isolation
