// Command bench measures poolers against one another on the same PostgreSQL:
// the distribution's PgBouncer, Spillway under each of its drivers and, if
// asked, PostgreSQL itself.
//
// Every cell (a workload, a protocol, a number of clients, plain or TLS) runs
// in rounds; in a round each pooler has one turn, and the order rotates. So
// what else happens on the machine hits all alike, and ratios are taken within
// a round before their median is. A turn's first second is warm-up: TPS is
// pgbench's own, but CPU and latencies count from the first progress line on.
//
// One file holds one family of cells. A family is a function that returns
// cells; cells.go joins them. A variant of a pooler (policies on, say) is
// another contender, not another cell: see -poolers.
//
// It asserts nothing. Goals are printed beside the figures.
package main
