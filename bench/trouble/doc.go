// Command trouble measures whether clients notice what goes wrong around the
// proxy: the disk of its log fills, another PostgreSQL server of the same
// Spillway goes away, the endpoint of its alarms accepts and never answers.
// Slices of pgbench with the trouble stand between slices without it, so that
// a difference can be held against the spread of those; and it notes which
// finding named the trouble, and when. Run as root: it mounts a small tmpfs.
package main
