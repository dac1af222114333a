// Package load puts the load of a drill on a server, through the client
// libraries and programs that services use: pgx with its own pool, psql,
// pgbench, and scripts for the machine's Python driver.
//
// It knows no drill, starts no server, and does not know whether Spillway is in
// between: the same load goes to both sides.
package load
