// Package proxy is the hot path: sockets, TLS and the event loops that join
// wire, auth, session and schedule.
//
// A loop is one locked OS thread that owns its clients and servers outright;
// nothing inside a loop is locked. The control floor reaches it one way: an
// immutable Policy behind one atomic pointer, read at message boundaries.
// Facts leave as value snapshots (snapshot.go), verbs enter as messages
// (verbs.go). The proxy knows no log store, no metrics library, no config
// file format and no console.
package proxy
