// Package gauge measures one side of a drill while it runs: every request of
// the API, every try of the operator, the connections PostgreSQL has by role,
// and what Spillway says of itself in its log and over its API.
//
// It judges nothing; outcome.Side is made of what it has.
package gauge
