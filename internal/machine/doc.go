// Package machine is what this machine has for private servers: where
// PostgreSQL's programs are, the account they run as, and a port that is free.
//
// It starts nothing and knows no server; drills and tests do that with what
// they find here.
package machine
