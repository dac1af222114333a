package console

import (
	"context"
	"time"

	"spillway/internal/proxy"
)

// Setting is one row of SHOW CONFIG. Value and Default are shown as they are,
// unless Secret.
type Setting struct {
	Key, Value, Default string
	Changeable          bool // without a restart
	Secret              bool // the value is never shown
}

// Settings is the running configuration. Safe from any goroutine.
type Settings interface {
	// Settings returns every key with its value, in the order to show them.
	Settings() []Setting
	// Set changes one key of the running configuration. The error must not
	// hold a secret.
	Set(ctx context.Context, key, value string) error
}

// ShutdownMode says what a shutdown waits for.
type ShutdownMode string

// Shutdown modes.
const (
	ShutdownNow            ShutdownMode = "immediate"
	ShutdownWaitForServers ShutdownMode = "wait_for_servers" // until servers are free
	ShutdownWaitForClients ShutdownMode = "wait_for_clients" // until clients have gone
)

// Control is what the console may ask of the process. Safe from any goroutine.
type Control interface {
	// Reload reads the config file again and applies it. notes tell what holds
	// only after a restart; after an error nothing has changed.
	Reload(ctx context.Context) (notes []string, err error)
	// Shutdown begins a shutdown and returns at once.
	Shutdown(mode ShutdownMode) error
}

// Config is what a Console is made of. All of it is needed but what says otherwise.
type Config struct {
	Verbs    proxy.Verbs
	Facts    proxy.Facts
	Settings Settings
	Control  Control
	Version  string           // Spillway's own
	Now      func() time.Time // nil: time.Now
	// Contained shows who holds what; nil: SHOW QUERIES and SHOW BANS are empty.
	Contained proxy.Containment
	Actions   Actions // nil: the containment verbs are refused
	// Verbed is told which verb of PgBouncer's a user had run; may be nil.
	Verbed func(ctx context.Context, user, verb string, err error)
}

// Console implements proxy.Console. Safe from any goroutine.
type Console struct {
	Config
	language map[string]*command
}

var _ proxy.Console = (*Console)(nil)

// New makes a console.
func New(c Config) *Console {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Console{Config: c, language: newLanguage()}
}

// Peer is the version of PgBouncer whose console this one is compatible with.
const Peer = "1.25.2"

// Parameters are the settings told at login, as PgBouncer tells them: drivers
// choose their behaviour by server_version.
func (*Console) Parameters() [][2]string {
	return [][2]string{
		{"server_version", Peer + "/bouncer"},
		{"client_encoding", "UTF8"},
		{"server_encoding", "UTF8"},
		{"DateStyle", "ISO"},
		{"TimeZone", "GMT"},
		{"standard_conforming_strings", "on"},
		{"is_superuser", "on"},
	}
}

// Open begins a session. admin is false for users that may only SHOW.
func (c *Console) Open(user string, admin bool) proxy.ConsoleSession {
	return &session{
		console:    c,
		user:       user,
		admin:      admin,
		statements: map[string]*statement{},
		portals:    map[string]*portal{},
	}
}
