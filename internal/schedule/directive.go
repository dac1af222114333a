package schedule

// Verdict is the answer to Acquire.
type Verdict uint8

const (
	// Granted: the returned server is the waiter's, on the waiter's own loop.
	Granted Verdict = iota + 1
	// Waiting: the waiter is queued, until a Grant or Fail directive or Leave. A Grant may already be among the directives
	// of this very call (a server of another loop).
	Waiting
	// Refused: the waiter is not queued; its Refusal field says why.
	Refused
)

// Kind says what a Directive asks of the caller.
type Kind uint8

const (
	// Grant gives Server to Waiter. When From differs from Server.Loop the server lives on From and
	// moves to Server.Loop, the waiter's.
	Grant Kind = iota + 1
	// Open asks for a login to Pool with identity Server.Fit on loop Server.Loop; answer with Opened or OpenFailed.
	Open
	// Close asks to close Server, which is idle or released; answer with Gone. Kill closes active and opening ones too.
	Close
	// Fail tells Waiter, no longer queued, that it gets no server; Reason says why.
	Fail
	// Reclaim asks to cancel what Server runs: it holds a slot lent by Workload, which wants it back.
	// The server stays with its holder until Release or Gone. By the time this arrives the server may have been released:
	// act only where the lease that goes on is Lease.
	Reclaim
)

// Directive is one thing the caller has to do. It is a value; the pointers in it stay owned as they were. From is the loop
// it concerns first: route it by that, for other loops may change Server meanwhile.
type Directive struct {
	Kind     Kind
	Reason   Reason
	From     int       // the loop the server lives on; Fail: the waiter's
	Lease    uint64    // Grant, Reclaim: Server.Lease
	Pool     *Pool     // always set
	Server   *Server   // Grant, Open, Close, Reclaim
	Waiter   *Waiter   // Grant, Fail
	Workload *Workload // Reclaim: the owner of the slot
}

// Reason says why a waiter was refused or a server is to be closed.
type Reason uint8

const (
	NoReason Reason = iota
	// Why a waiter gets no server.
	QueueFull      // the workload's QueueMax is reached
	WaitTooLong    // the queue is longer than the workload's QueueTimeout allows
	PoolDisabled   // Disable
	PoolRemoved    // RemovePool, or the waiter named a pool of another host
	PoolKilled     // Kill
	WorkloadPaused // the workload's Pause is PauseRefuse
	LoginFailing   // logins fail and the pool has no server (FailFast)
	// Why a server is closed.
	LifetimeOver  // older than Lifetime
	IdleTooLong   // idle longer than IdleTimeout
	OverLimit     // more servers than the pool, the host or a Cap allows
	Yielded       // its slot goes to another pool or to another identity
	Reconnecting  // Reconnect
	PoolPaused    // Pause
	SlotReclaimed // Reclaim: the slot's owner waits
)

var reasonNames = [...]string{
	NoReason: "none", QueueFull: "queue full", WaitTooLong: "wait too long", PoolDisabled: "pool disabled",
	PoolRemoved: "pool removed", PoolKilled: "pool killed", WorkloadPaused: "workload paused", LoginFailing: "login failing",
	LifetimeOver: "lifetime over", IdleTooLong: "idle too long", OverLimit: "over limit", Yielded: "yielded",
	Reconnecting: "reconnecting", PoolPaused: "pool paused", SlotReclaimed: "slot reclaimed",
}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// FailClass sorts the ways a server login fails by what they say about everybody else.
type FailClass uint8

const (
	// FailNetwork: refused, unreachable, timed out, TLS. Counts for the host's breaker.
	FailNetwork FailClass = iota + 1
	// FailStarting: 57P03, the server starts or stops. Like FailNetwork, but waiters are kept even with FailFast.
	FailStarting
	// FailAuth: SQLSTATE 28xxx. Blocks the pools of this user only, for at most 30 s.
	FailAuth
	// FailFull: SQLSTATE 53300 of the host. Never opens the breaker; shrinks what is usable and probes later.
	FailFull
	// FailPool: whatever concerns this pool only: 3D000, 42501, "too many connections for role".
	FailPool
	// FailCancelled: the proxy gave the attempt up itself; says nothing about the host.
	FailCancelled
)

func (c FailClass) String() string {
	switch c {
	case FailNetwork:
		return "network"
	case FailStarting:
		return "starting"
	case FailAuth:
		return "auth"
	case FailFull:
		return "full"
	case FailPool:
		return "pool"
	case FailCancelled:
		return "cancelled"
	}
	return "none"
}
