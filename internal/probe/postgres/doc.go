// Package postgres asks PostgreSQL servers how they do, over two kept
// connections for each server and one for each database whose tables are
// watched. Every statement only reads, has a limit of time, and takes no lock
// that a client could hold up.
//
// It judges nothing, and it does not go through the pooler: it answers when
// every slot is taken, and tells nothing when the server is away.
package postgres
