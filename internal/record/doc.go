// Package record is the memory of a region: it takes events and findings, makes
// incidents of them, keeps all of it in the log, and answers what is asked
// about it.
//
// What is told is decided and applied in memory at once, under a mutex that is
// held for microseconds, and waits in a bounded backlog for its place in the log
// (package store). So nobody who tells something waits for a disk; who must know
// that an event stands before its effect asks for that with a deadline. A log
// that cannot be opened or written is a finding, and is opened again.
//
// It does not detect, act or notify, and knows neither proxy nor config: node
// joins those.
package record
