package node

import "spillway/internal/act"

// What the command line orders and is answered about actions: the API's own.
type (
	ActOrder     = act.Order
	ActSelection = act.Selection
	ActKind      = act.Kind
	ActDuration  = act.Duration
	Action       = act.Action
	ActHit       = act.Hit
)

// Kinds of orders that have a command of their own.
const (
	ActPause     = act.Pause
	ActResume    = act.Resume
	ActLimit     = act.Limit
	ActKill      = act.Kill
	ActBan       = act.Ban
	ActUnban     = act.Unban
	ActTerminate = act.Terminate
	ActRun       = act.Run
	ActUndo      = act.Undo
	ActFailed    = act.Failed
	ActPreviewed = act.Previewed
	ActStands    = act.Stands
)
