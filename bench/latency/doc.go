// Package latency reads the transactions that pgbench logs with -l, and takes
// their quantiles. It runs nothing.
package latency
