package node

import (
	"context"
	"errors"
	"time"

	"spillway/internal/console"
	"spillway/internal/proxy"
	"spillway/internal/web"
)

// hotpath lets console and web be made before the proxy that they ask: it is
// filled in before anything starts, and not changed after.
type hotpath struct {
	proxy.Facts
	proxy.Verbs
	proxy.Containment
	proxy.Watcher
}

// handle lets rooms reach the node that is made after them.
type handle struct{ node *Node }

// consoleControl answers the console's RELOAD, SHUTDOWN, SET and SHOW CONFIG.
type consoleControl struct{ *handle }

var (
	_ console.Control  = consoleControl{}
	_ console.Settings = consoleControl{}
	_ web.Control      = webControl{}
	_ web.Health       = webControl{}
)

// Reload implements console.Control.
func (c consoleControl) Reload(context.Context) ([]string, error) { return c.node.Reload() }

// Shutdown implements console.Control.
func (c consoleControl) Shutdown(mode console.ShutdownMode) error {
	return c.node.shutdown(string(mode))
}

// Settings implements console.Settings. Secrets are hidden by config already.
func (c consoleControl) Settings() []console.Setting {
	setup := c.node.setupNow()
	if setup.config == nil {
		return nil
	}
	rows := setup.config.Settings()
	settings := make([]console.Setting, len(rows))
	for i, row := range rows {
		settings[i] = console.Setting{Key: row.Key, Value: row.Value, Default: row.Default, Changeable: row.Changeable}
	}
	return settings
}

// Set implements console.Settings.
func (c consoleControl) Set(_ context.Context, key, value string) error {
	return c.node.set(key, value)
}

// webControl answers the API and the health checks.
type webControl struct{ *handle }

// Reload implements web.Control.
func (c webControl) Reload(context.Context) ([]string, error) { return c.node.Reload() }

// LastReload implements web.Control.
func (c webControl) LastReload() (time.Time, error) { return c.node.LastReload() }

// Shutdown implements web.Control.
func (c webControl) Shutdown(mode string) error { return c.node.shutdown(mode) }

// Alive implements web.Health.
func (c webControl) Alive() bool { return c.node.Live() }

// Serving implements web.Health; it fails as soon as a drain begins.
func (c webControl) Serving() bool { return c.node.Ready() == nil }

// shutdown begins the end. Waiting for servers and waiting for clients are the
// same drain: idle clients are told to go, they are not waited for.
func (n *Node) shutdown(mode string) error {
	switch console.ShutdownMode(mode) {
	case console.ShutdownNow:
		return n.ask(askStop)
	case console.ShutdownWaitForServers, console.ShutdownWaitForClients:
		return n.ask(askDrain)
	}
	return errors.New("shutdown mode is not immediate, wait_for_servers or wait_for_clients")
}
