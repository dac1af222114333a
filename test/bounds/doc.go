// Package bounds holds the promises about workloads against a real PostgreSQL
// with max_connections = 85, the size of the server in the reports 001 and 002:
// a job that leaks hurts only itself and is named, batch work at ten times its
// capacity rejects no critical transaction, an operator gets in when every slot
// is taken, a reconnect storm does not become a login storm, and the books
// agree with the server after chaos.
//
// Figures are printed; docs/workloads.md has those of one machine.
// SPILLWAY_BOUNDS=long plays longer and with more clients.
package bounds
