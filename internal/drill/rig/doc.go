// Package rig starts the real servers of a drill: PostgreSQL of the machine
// with its files in a temporary folder, Spillway as its own program, and the
// client programs, all on free loopback ports.
//
// It owns their ends: Close stops in order and removes every file. A drill
// that is killed leaves a marker in a known folder with what it had started
// (process id and start time); Sweep, called by the next one, ends and removes
// that. It puts no load on and measures nothing.
package rig
