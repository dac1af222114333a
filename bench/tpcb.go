package main

// tpcbCells are pgbench's TPC-B-like transactions: seven statements each.
func tpcbCells(o options) []Cell {
	cells := pgbenchCells("tpcb", "TPC-B-like (`pgbench -b tpcb-like`)", tidyTPCB, "-b", "tpcb-like")
	for i := range cells {
		if c := &cells[i]; c.Instead != "" && c.Clients > o.poolSize {
			c.Cannot = cannotWait(c.Cannot)
		}
	}
	return cells
}

// cannotWait rules out prepared transactions of more clients than servers:
// pgbench stands still until a client's statements are prepared, and with it the
// clients of the same thread whose transactions hold the servers.
func cannotWait(otherwise func(*contender) string) func(*contender) string {
	return func(p *contender) string {
		if why := otherwise(p); why != "" || p.Kind.Program == "direct" || p.Kind.Mode == "session" {
			return why
		}
		return "pgbench waits for itself: it prepares in step, and clients of the same thread hold all servers"
	}
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
