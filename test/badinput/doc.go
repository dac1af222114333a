// Package badinput sends what no client should: garbage, impossible lengths,
// the wrong protocol, half messages and silence, wrong passwords, floods of
// connections. Each must end in one clear error or a silent close by rule,
// leak nothing (descriptors, goroutines, clients, servers), and be unnoticed
// by a bystander who works all the while.
//
// SPILLWAY_FLOOD sets how many connections one address opens (default 20000).
package badinput
