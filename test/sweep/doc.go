// Package sweep drives `spillway sweep` as a person would: the real command,
// against a running node and without one.
package sweep
