package statement

import (
	"math/bits"
	"strings"
)

// Effect says what a text does to the session that runs it, as a set of bits.
// The bits of all statements of a text are joined.
type Effect uint64

// The effects. A bit that only promises something (Read) is withheld in doubt,
// every other bit is set in doubt.
const (
	// Set: a session-level SET or RESET of a parameter, by statement or by
	// set_config.
	Set Effect = 1 << iota
	// SetConfig: set_config was called with anything but a literal true as its
	// last argument; comes with Set, and ParseSet cannot tell what was set.
	SetConfig
	// SetLocal: SET LOCAL, SET TRANSACTION, SET CONSTRAINTS or
	// set_config(…, true); ends with the transaction.
	SetLocal
	// SetRole: SET or RESET of ROLE or SESSION AUTHORIZATION.
	SetRole
	// Listen: LISTEN.
	Listen
	// Unlisten: UNLISTEN of one channel or of all.
	Unlisten
	// Notify: NOTIFY or pg_notify; leaves nothing in the session.
	Notify
	// Advisory: takes or releases a session-level advisory lock.
	Advisory
	// Temp: creates a temporary object that outlives its transaction.
	Temp
	// HoldCursor: DECLARE … WITH HOLD.
	HoldCursor
	// Load: LOAD of a library.
	Load
	// Prepare: the SQL statement PREPARE; the effects of its body are joined.
	Prepare
	// Execute: the SQL statement EXECUTE, also below EXPLAIN or CREATE TABLE
	// AS; what the prepared statement does is not in the set.
	Execute
	// Deallocate: DEALLOCATE of one name.
	Deallocate
	// DeallocateAll: DEALLOCATE ALL.
	DeallocateAll
	// DiscardAll: DISCARD ALL.
	DiscardAll
	// DiscardPlans: DISCARD PLANS.
	DiscardPlans
	// DiscardTemp: DISCARD TEMP.
	DiscardTemp
	// DiscardSequences: DISCARD SEQUENCES.
	DiscardSequences
	// Begin: BEGIN or START TRANSACTION.
	Begin
	// Commit: COMMIT or END.
	Commit
	// Rollback: ROLLBACK or ABORT of the transaction.
	Rollback
	// Savepoint: SAVEPOINT, RELEASE or ROLLBACK TO.
	Savepoint
	// TwoPhase: PREPARE TRANSACTION, COMMIT PREPARED or ROLLBACK PREPARED.
	TwoPhase
	// Copy: COPY in either direction; FROM also sets Write.
	Copy
	// UnknownFunction: calls a function that is not known to be harmless and so
	// may leave any state behind.
	UnknownFunction
	// Opaque: runs code that is not in the text (DO, CALL, CREATE EXTENSION),
	// starts with an unknown word, or could not be read to its end; may leave
	// any state behind.
	Opaque
	// Sticky: leaves state that DISCARD ALL does not undo (setseed, a backup, a
	// replication origin or slot); only closing the server does.
	Sticky
	// Write: may modify what is stored, or lock rows against others.
	Write
	// Read: one SELECT, VALUES, TABLE or SHOW that writes nothing, takes nothing
	// and calls no unknown function. Volatile and SessionFunction may be set too.
	Read
	// Multi: more than one statement.
	Multi
	// SessionFunction: reads state of its session (currval, current_setting,
	// current_user, pg_backend_pid, SHOW), so its result depends on the server.
	SessionFunction
	// Volatile: calls a built-in function whose result differs between calls.
	Volatile
	// Replication: a command of the replication protocol.
	Replication

	effectEnd
)

// Dirty is the effects after which a server has, or may have, state of its
// client that the protocol does not report.
const Dirty = Set | SetRole | Listen | Advisory | Temp | HoldCursor | Load | Prepare | UnknownFunction | Opaque | Sticky | Replication

// effectNames has the names in the order of the bits.
const effectNames = "set set_config set_local set_role listen unlisten notify advisory temp hold_cursor load prepare execute " +
	"deallocate deallocate_all discard_all discard_plans discard_temp discard_sequences begin commit rollback savepoint two_phase " +
	"copy unknown_function opaque sticky write read multi session_function volatile replication"

// Has says whether all bits of want are in e.
func (e Effect) Has(want Effect) bool { return e&want == want }

// Any says whether at least one bit of want is in e.
func (e Effect) Any(want Effect) bool { return e&want != 0 }

// String gives the names of the bits, joined by '|', and "none" for the empty
// set.
func (e Effect) String() string {
	e &= effectEnd - 1
	if e == 0 {
		return "none"
	}
	names := strings.Fields(effectNames)
	parts := make([]string, 0, bits.OnesCount64(uint64(e)))
	for ; e != 0; e &= e - 1 {
		parts = append(parts, names[bits.TrailingZeros64(uint64(e))])
	}
	return strings.Join(parts, "|")
}
