// Package watch holds the promises about findings and the verdict against a real
// PostgreSQL behind a real Spillway: a leak, a blocked table, a storm and a login
// that fails are named, each gives exactly one finding, going away clears it, and
// a server that goes away takes the probes' values with it and nothing else.
package watch
