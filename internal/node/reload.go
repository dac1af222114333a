package node

import (
	"fmt"
	"strings"
	"time"
)

// Reload reads the config file again and applies what can change while running.
// It returns what needs a restart. A file with an error changes nothing; the
// error is the file's, with its line and caret.
func (n *Node) Reload() (restart []string, err error) {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	if n.phase.Load() != int32(phaseRunning) {
		return nil, errNotRunning
	}
	n.tell(n.system.Reloading())
	restart, err = n.applyFile()
	n.mu.Lock()
	n.reload = reloadFact{at: time.Now(), err: err}
	n.mu.Unlock()
	status := "config reloaded"
	if err != nil {
		status = "config NOT reloaded: " + firstLine(err.Error())
	}
	n.tell(n.system.Ready(status))
	return restart, err
}

// applyFile loads and applies; the caller holds reloading.
func (n *Node) applyFile() ([]string, error) {
	next, err := n.load()
	if err != nil {
		return nil, err
	}
	before := n.setupNow().Log.Level
	if err := n.setLevel(next.Log.Level); err != nil {
		return nil, err
	}
	if err := n.pooler.Apply(next.Policy); err != nil {
		// The level was valid before; only the proxy's word counts here.
		_ = n.setLevel(before)
		return nil, fmt.Errorf("apply policy: %w", err)
	}
	n.mu.Lock()
	n.current = next
	n.mu.Unlock()
	return next.Restart, nil
}

// LastReload tells when the config was last read and whether that failed.
func (n *Node) LastReload() (at time.Time, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.reload.at, n.reload.err
}

// reloadAndLog is Reload for callers that have nobody to answer to.
func (n *Node) reloadAndLog() {
	restart, err := n.Reload()
	if err != nil {
		n.log.Error("config not reloaded, the old one stays in force", "error", err)
		return
	}
	n.log.Info("config reloaded")
	if len(restart) > 0 {
		n.log.Warn("some changes need a restart", "settings", strings.Join(restart, "; "))
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
