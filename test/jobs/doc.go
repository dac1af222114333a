// Package jobs tries jobs as their users do: the command, the running node that
// watches them, its API and its metrics, on a real PostgreSQL.
package jobs
