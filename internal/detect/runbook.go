package detect

// Runbook is what to do about a detector's findings, in the order in which to
// try it; "" for a detector that is not ours.
func Runbook(detector string) string {
	switch detector {
	case "server":
		return "See whether PostgreSQL runs and can be reached from this machine: spillway upstreams, then psql to the address directly. Spillway tries again by itself, at most once a second; clients queue until their queue_timeout. After the server is back logins are paced, which takes a few seconds for each hundred."
	case "login":
		return "Read the server's own words in the summary. 28P01 and 28000: the secret Spillway has for the user, or pg_hba.conf, is wrong; mend the one and spillway reload. 53300: the server has no free connection; lower servers.NAME.max_connections or find the foreign ones. Other users are not touched."
	case "denied":
		return "The service named fails its logins at Spillway's door, again and again: a wrong secret, or a library that retries without a pause. PostgreSQL sees none of them. Mend the secret or stop the service; limits.logins_per_address slows it down meanwhile."
	case "blocking":
		return "See who the root is and whether it still works: spillway holders. One that is idle in a transaction will not end by itself: ask its owner, or end it with spillway kill. A schema change waiting for its lock makes everybody wait behind it: cancel it, and run it with a lock_timeout."
	case "leak":
		return "The service named opens transactions and does not end them. Hold it where it is with spillway limit, take the slots back with spillway kill --workload NAME --state idle-in-transaction, or let Spillway do both: leak_after and on_leak of its workload. Then mend the code path of the statement shown: end the transaction, also on an error."
	case "storm":
		return "One statement runs far more often than it ends. See who sends it: spillway queries. If it may fail, refuse it for a while with spillway ban FINGERPRINT --for 10m, or cap it with --max; if a job sends it, spillway pause WORKLOAD. Then look at its plan: a missing index, or a table that has outgrown it."
	case "long-transaction":
		return "An open transaction keeps vacuum from cleaning and holds its locks. Ask its owner; end it with spillway kill. transaction_timeout of the workload bounds the next one."
	case "long-statement":
		return "See what it does: spillway queries, then EXPLAIN. Cancel it with spillway kill if nobody waits for its result. statement_timeout of the workload bounds the next one."
	case "slots":
		return "See who holds the slots: spillway holders. If it is one service, bound it: spillway limit WORKLOAD N --for 60m. If all are at work, the server may take more: compare max_connections with its CPUs before raising it."
	case "slots-forecast":
		return "The service named takes more and more slots. Bound it before the rest feels it: spillway limit WORKLOAD N --for 60m. See whether it leaks: spillway holders, idle in transaction."
	case "queue-wait":
		return "Clients wait for a slot. See whose: spillway workloads. Is the workload at its own limit, raise it if the server has room; is the host full, see finding slots; are servers slow, see long statements and blocking."
	case "replica-lag":
		return "See what writes so much: spillway queries, spillway sweep list. Pause batch work: spillway pause WORKLOAD. On the replica look for a long query that keeps replay waiting (max_standby_streaming_delay), full disks and a slow network."
	case "table-growth":
		return "Dead rows come faster than vacuum removes them. See what keeps it from doing so: a long transaction or a replication slot (their findings), a lock, or limits too tight for this table: ALTER TABLE … SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0). Deletes belong into batches: spillway sweep plan."
	case "target":
		return "A target does not answer as it should. See its own log and the finding of the same minute: a full pool or a slow database makes services fail their health checks."
	case "slo-burn":
		return "Users see errors or waits. The other findings of the same minute say why; spillway status shows them together. Errors by reason: spillway_pool_errors_total."
	case "ledger":
		return "Spillway mends what it is sure of within 20 s. If drift stays, see its log for \"ledger\", and pg_stat_activity for connections with its application names. A fuse that blows means that more connections are open than the budget allows: find who else uses Spillway's roles."
	case "probe":
		return "The probe's last error is in the evidence. For PostgreSQL see that the role of servers.NAME.url may log in and is a member of pg_monitor. The pooler needs no probe; its figures are missing until it works again."
	}
	return ""
}
