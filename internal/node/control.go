package node

import (
	"context"

	"spillway/internal/console"
)

// console asks the process through a Node.
var _ console.Control = consoleControl{}

// consoleControl lets the console's RELOAD and SHUTDOWN reach the node. The node
// is set before the first client can connect.
type consoleControl struct{ node *Node }

// Reload implements console.Control.
func (c consoleControl) Reload(context.Context) ([]string, error) { return c.node.Reload() }

// Shutdown implements console.Control. WAIT_FOR_CLIENTS drains as
// WAIT_FOR_SERVERS does: idle clients are told to go, they are not waited for.
func (c consoleControl) Shutdown(mode console.ShutdownMode) error {
	if mode == console.ShutdownNow {
		return c.node.ask(askStop)
	}
	return c.node.ask(askDrain)
}
