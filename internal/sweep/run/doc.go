// Package run carries out a plan: batch after batch, each one transaction that
// also saves the cursor, so that a crash of either side anywhere repeats
// nothing and skips nothing.
//
// What must outlive a crash is one row of spillway.sweep in the swept database.
// An advisory lock lets one runner at a table; a fencing token in that row keeps
// out one that lost the lock without noticing. The package does not decide what
// to delete (plan) nor how fast (brake).
package run
