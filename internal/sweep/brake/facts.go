package brake

import "time"

// Facts is one look at the server.
type Facts struct {
	At           time.Time
	WAL          int64 // position, in bytes
	Replicas     []Replica
	Archives     bool
	Unarchived   int
	Slots        []Slot
	Busy         int           // other sessions that did something in the last second
	Commits      int64         // of the database, since its statistics began
	Connections  int           // client sessions
	MaxSessions  int           // max_connections
	OldestXmin   time.Duration // of other sessions
	OldestPID    int
	LockedBy     int // a session whose lock on the table keeps every DELETE out; 0 none
	LockMode     string
	Queueing     int // sessions waiting for a lock on the table
	Behind       int // sessions waiting for a lock that the sweep holds
	LockWaits    int // sessions waiting for any lock
	Vacuuming    bool
	ToPrevent    bool // that vacuum is to prevent wraparound
	DiskFree     float64
	DiskKnown    bool
	Sight        *Sight // nil: there is no proxy to ask
	OwnCommits   int64  // how many of the commits are the sweep's
	Resting      bool   // the sweep did nothing since the look before
	SinceLastRun time.Duration
}

// Replica is one receiver of WAL.
type Replica struct {
	Name   string
	Replay int64 // position, in bytes
}

// Slot is one replication slot.
type Slot struct {
	Name     string
	Retained int64 // bytes of WAL
}

// Sight is what the proxy sees of its clients. Counts only grow; the brake takes
// differences.
type Sight struct {
	QueueWait time.Duration // longest wait for a server now
	Bounds    []float64     // upper bounds of Counts but the last, in seconds
	Counts    []uint64      // transactions by how long they took
	Used      int           // servers in use
	Usable    int           // servers there may be; 0 = not known
}
