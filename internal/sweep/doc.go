// Package sweep deletes what a condition dooms, in batches that nobody notices.
//
// It owns the node's sweeps: those a person starts over the API, those of the
// config's schedule, and those another runner left behind. What a sweep does
// is in its parts: target (the table), plan (how), brake (how fast), run (the
// batches), when (which hours). It does not know the proxy, the record or the
// page; node joins them.
package sweep
