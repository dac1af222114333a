// Package incident makes incidents of events: pure, without I/O or a clock.
//
// A Book is the fold of the region's events. What is asked of it (a finding
// came, somebody acknowledges) it answers with drafts of events; nothing
// changes until those are applied. So the book after a restart is the book
// before it.
//
// An incident is open while findings hold, restored when they have cleared, and
// resolved when its smoke checks passed or somebody gave a reason. It does not
// store, tell anybody, or act.
package incident
