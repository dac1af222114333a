// Package store keeps the events of a region in a JetStream stream: in this
// process by default, or in the region's own NATS cluster by URL, with the same
// code over both.
//
// A Store is open from Open to Close, and of no use after its first error other
// than ErrConflict: the owner closes it and opens another. Every stored event
// has been synced to disk when Append returns. It does not queue, retry or
// decide what an event means.
package store
