// Package contain holds the promises about containment against a real PostgreSQL:
// pauses, limits and bans hold and end, a kill hits what was selected and nothing
// else, and who may not act does not. The commands are the built binary's.
//
// SPILLWAY_CONTAIN=long plays the mix of the wrong-kill test for an hour in place
// of seconds; a duration (SPILLWAY_CONTAIN=10m) for as long.
package contain
