package web

import (
	"crypto/sha256"
	"os"
	"path"
	"time"
)

// Grants are who may act besides root and the user Spillway runs as, who are
// admins on the unix socket always. Immutable.
type Grants struct {
	Tokens []Token
	Peers  map[uint32]Caller // by the uid that the kernel tells of a local caller
}

// Token lets whoever sends it do what its role may. Only its hash is kept.
type Token struct {
	Name  string // as the record shows it
	Hash  [sha256.Size]byte
	Role  Role
	Scope []string  // see Caller
	Until time.Time // zero: for ever
}

// Admit replaces the grants of Config; those that are gone hold no more.
func (s *Server) Admit(g Grants) {
	s.guard.admit(g)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) > 0 && s.config.Socket != "" {
		if err := os.Chmod(s.config.Socket, socketMode(len(g.Peers))); err != nil {
			s.config.Log.Warn("mode of the admin socket not changed", "error", err)
		}
	}
}

// socketMode lets others connect where some of them may do something; what they
// may is asked of the kernel for each connection.
func socketMode(peers int) os.FileMode {
	if peers > 0 {
		return 0o666
	}
	return 0o600
}

func (r Role) String() string {
	switch r {
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	case Viewer:
	}
	return "viewer"
}

// May reports whether the caller's scope covers an action on a subject, such as
// a database or a workload. Its role is another matter.
func (c *Caller) May(action, subject string) bool {
	if len(c.Scope) == 0 {
		return true
	}
	for _, glob := range c.Scope {
		for _, what := range [...]string{action, action + ":" + subject} {
			if ok, err := path.Match(glob, what); ok && err == nil {
				return true
			}
		}
	}
	return false
}
