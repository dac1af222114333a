// Package pgxsuite runs the test suite of github.com/jackc/pgx/v5, unchanged,
// against PostgreSQL itself and through poolers. In session mode what passes
// directly must pass through Spillway; in transaction mode Spillway may fail
// no test that PgBouncer passes (docs/compatibility.md lists what fails, and why).
//
// The whole takes minutes a target. SPILLWAY_PGX=all runs it; otherwise a part
// of it that exercises every message of the protocol.
package pgxsuite
