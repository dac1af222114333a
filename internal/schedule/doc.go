// Package schedule decides who gets the next server.
//
// It owns the slots of one PostgreSQL host (a Host), the servers that fill them as far as scheduling sees them (idle,
// active, opening, closing), the queues of waiters, the shares and limits of workloads, the pace of server logins and the
// breaker that stops them during an outage.
//
// It does not open, close or read anything, knows no protocol and reads no clock: now arrives as an argument, in
// nanoseconds of any monotonic clock. What has to be done comes back as Directives appended to a slice of the caller,
// who carries them out and reports what happened (Opened, OpenFailed, Gone). It imports the standard library only.
//
// # How a slot is placed
//
// A waiter stands in the lane of its workload in its pool; a lane is FIFO. Lanes are served in this order:
//
//  1. operators, on slots of their own;
//  2. workloads below their nominal share (guarantees), critical before normal before batch;
//  3. the others, on lent slots: critical, normal, batch.
//
// Equals share by the slot-time they used while anybody waited, divided by their share (a deficit round-robin whose
// deficits are kept as virtual time); within one workload the oldest waiter goes first. A server is closed for another
// pool's waiter only if that waiter outranks the pool's own, or is ahead of it by more than EvictGrace, and only when the
// server has lived for EvictGrace: two pools do not fight over a slot.
//
// Several event loops may call one Host at the same time.
package schedule
