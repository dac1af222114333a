package main

// tpcbCells are pgbench's TPC-B-like transactions: seven statements each.
func tpcbCells(options) []Cell {
	return pgbenchCells("tpcb", "TPC-B-like (`pgbench -b tpcb-like`)", tidyTPCB, "-b", "tpcb-like")
}

// tidyTPCB undoes the bloat of the turn before: the small tables are updated
// by every transaction, and autovacuum is off.
func tidyTPCB(r *rig) error {
	for _, sql := range []string{"VACUUM pgbench_branches", "VACUUM pgbench_tellers", "VACUUM pgbench_accounts", "TRUNCATE pgbench_history"} {
		if _, err := r.server.QueryIn(database, sql); err != nil {
			return err
		}
	}
	return nil
}
