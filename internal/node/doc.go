// Package node is one running Spillway: it wires the rooms together, starts
// them in order, reloads them and stops them in reverse order.
//
// It owns the process: signals, systemd's notify protocol and inherited
// sockets, the log, the pidfile and the limit of open files. Policy reaches
// the hot path only through Apply here; facts come back as value snapshots.
//
// It does not pool, speak no PostgreSQL and knows no setting's meaning: what a
// config file says is decided in config, what a policy does in proxy.
package node
