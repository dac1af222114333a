// Command sweep measures `spillway sweep` beside what people do instead, on the
// same table of the same PostgreSQL: one big DELETE, 10,000 rows every 30 s, and
// DELETE … WHERE id IN (SELECT … LIMIT n); alone, and beside a steady pgbench
// load through the proxy whose p99 is taken before, during and after.
package main
