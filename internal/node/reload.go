package node

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"spillway/internal/config"
	"spillway/internal/proxy"
)

// errNoConfig answers SET in a node that was not made from a file.
var errNoConfig = errors.New("there is no config to change")

// Reload reads the config file again and applies what can change while running.
// It returns what needs a restart. A file with an error changes nothing; the
// error is the file's, with its line and caret. Whoever asks is answered, and
// the log tells in any case: a reload is a transition of the process.
func (n *Node) Reload() (restart []string, err error) {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	if n.phase.Load() != int32(phaseRunning) {
		return nil, errNotRunning
	}
	n.tell(n.system.Reloading())
	next, err := n.load(n.setupNow())
	if err == nil {
		err = n.apply(next)
	}
	n.mu.Lock()
	n.reload = reloadFact{at: time.Now(), err: err}
	n.mu.Unlock()
	if err != nil {
		n.tell(n.system.Ready("config NOT reloaded: " + firstLine(err.Error())))
		n.log.Error("config not reloaded, the one before it stays in force", "error", err, "problems", longText(err))
		return nil, err
	}
	n.tell(n.system.Ready("config reloaded"))
	n.log.Info("config reloaded", "changed", strings.Join(next.Changed, " "))
	if len(next.Restart) > 0 {
		n.log.Warn("some changes need a restart", "keys", strings.Join(next.Restart, " "))
	}
	return restartNotes(next.Restart), nil
}

// set changes one key of the running config, until the next reload.
func (n *Node) set(key, value string) error {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	if n.phase.Load() != int32(phaseRunning) {
		return errNotRunning
	}
	before := n.setupNow()
	if before.config == nil {
		return errNoConfig
	}
	changed, err := before.config.With(key, value)
	if err != nil {
		return err
	}
	if err := n.apply(setupOf(changed, before)); err != nil {
		return err
	}
	n.log.Info("setting changed until the next reload", "key", key)
	return nil
}

// apply puts a setup in force; the caller holds reloading. After an error
// nothing has changed.
func (n *Node) apply(next *Setup) error {
	before := n.setupNow().Log
	if err := n.applyLog(next.Log); err != nil {
		return err
	}
	if err := n.pooler.Apply(n.over(next.Policy)); err != nil {
		// What was in force is valid; only the proxy's word counts here.
		_ = n.applyLog(before)
		return fmt.Errorf("apply policy: %w", err)
	}
	n.current.Store(next)
	if n.applied != nil && next.config != nil {
		n.applied(next.config)
	}
	return nil
}

// over is a policy with what stands of actions laid over it.
func (n *Node) over(p *proxy.Policy) *proxy.Policy {
	if n.overlay == nil {
		return p
	}
	return n.overlay(p)
}

// recompose puts the policy in force anew, after what stands of actions has
// changed.
func (n *Node) recompose() error {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	if err := n.pooler.Apply(n.over(n.setupNow().Policy)); err != nil {
		return fmt.Errorf("apply policy: %w", err)
	}
	return nil
}

// LastReload tells when the config was last read and whether that failed.
func (n *Node) LastReload() (at time.Time, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.reload.at, n.reload.err
}

// linesPerSecond is how many equal log lines pass a second.
const linesPerSecond = 20

// setupOf is what a node obeys of a config. before is the setup in force, nil
// at the start.
func setupOf(c *config.Config, before *Setup) *Setup {
	s := &Setup{
		Policy:   c.Policy(),
		Log:      LogConfig{Level: c.Log.Level, Format: c.Log.Format, PerSecond: linesPerSecond},
		Shutdown: c.Timeouts.Shutdown,
		config:   c,
	}
	if before != nil && before.config != nil {
		s.Changed, _ = config.Diff(before.config, c)
	}
	return s
}

func restartNotes(keys []string) []string {
	notes := make([]string, len(keys))
	for i, key := range keys {
		notes[i] = key + " holds after a restart"
	}
	return notes
}

// longText is an error with its source lines and carets, where it has them.
func longText(err error) string {
	var long interface{ Text() string }
	if errors.As(err, &long) {
		return long.Text()
	}
	return ""
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
