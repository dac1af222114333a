// Package lifecycle takes a running Spillway through what operators do to it
// and what happens to the servers behind it: reloads with good and bad files,
// renewed certificates, the drain, the hand-over of its port to a second
// process, restarts of PostgreSQL under load, the failover to a replica.
// Clients work all the while, and every error they see must be one that is due.
package lifecycle
