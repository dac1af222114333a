// Package target knows the table that is swept: it connects, reads what the
// table is, and turns the condition a person wrote into one that stays the same
// while the sweep runs.
//
// PostgreSQL itself parses the condition and prints it back; only names that
// PostgreSQL quoted go into SQL. The package decides nothing and deletes
// nothing.
package target
