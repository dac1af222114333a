// Package event is what the record is made of: an event as a value, its form on
// disk, its place in the chain of hashes, and the walk that checks a chain.
//
// The hash of an event is SHA-256 over the bytes that were stored; the event
// after it carries that hash. So a chain is checked over what is there, never
// over a rewritten form of it. The chain is not signed: who can rewrite every
// event from one on can make a new chain. Keep the head that `spillway incident
// verify` prints elsewhere to notice that too.
//
// It does not store anything and has no clock.
package event
