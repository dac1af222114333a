// Package job runs commands so that they cannot run twice at once anywhere,
// cannot outlive their deadline, and are missed when they do not finish.
//
// It owns two tables in schema spillway (job_lease, job_run) and a third for
// those who wait (job_wait), the lease with its fencing token, the child
// process with its group, and the end of the child's work in the database. It
// judges the history (late, overrun, failing, too often, silent) but raises no
// alarm: who watches joins Board. It does not decide when a job is started:
// that is cron's, or whoever calls.
//
// The lease. A row says who holds a job and until when, by the database's
// clock. A holder renews every second and trusts what it got for trust only,
// counted from before it asked; others take the row only after the lease's
// whole length, ttl. Between the two there is time to end the child. So two
// children never run at once as long as a process that is told to die does, and
// clocks run at about the same speed. Where neither holds (a holder that is
// stopped cannot end its child) the next holder ends statements of lower tokens
// in the database, every second. Each token is higher than the one before, for
// those who can check it.
package job
