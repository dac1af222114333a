package act

import (
	"fmt"
	"path"
)

// Role is what a caller may do; each holds what the one before may.
type Role uint8

// Roles.
const (
	Viewer Role = iota
	Operator
	Admin
)

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

// Caller is who asks.
type Caller struct {
	Who  string
	Role Role
	// Scope narrows what the caller may do below its role: globs of KIND or
	// KIND:SUBJECT, as "pause:batch*". Empty: all that the role may.
	Scope []string
}

// needs is the least role for an order.
func (r *Rules) needs(o *Order) Role {
	switch o.Kind {
	case Terminate:
		return Admin // what is hit there is nobody's of ours
	case Run:
		if c := r.Commands[o.Command]; c != nil {
			return c.Role
		}
		return Admin
	case Pause, Resume, Limit, Kill, Ban, Unban, Undo:
	}
	return Operator
}

// authorise refuses callers whose role or scope does not cover the order.
func (c *Caller) authorise(o *Order, rules *Rules) error {
	if need := rules.needs(o); c.Role < need {
		return &Refusal{Forbidden, fmt.Sprintf("%s needs the role %s, and %s has %s", o.Kind, need, c.Who, c.Role), ""}
	}
	if o.Kind == Undo {
		return nil // see authoriseUndo
	}
	return c.covers(o)
}

// covers refuses what is not in the caller's scope.
func (c *Caller) covers(o *Order) error {
	if !inScope(c.Scope, string(o.Kind), o.Subject()) {
		return &Refusal{Forbidden, fmt.Sprintf("%s %s is not in the scope of %s", o.Kind, o.Subject(), c.Who), ""}
	}
	return nil
}

// authoriseUndo: who may not bring an action about may not end it either.
func (r *Room) authoriseUndo(c *Caller, o *Order) error {
	old, err := r.Get(o.Action)
	if err != nil {
		return err
	}
	return c.covers(&old.Order)
}

func inScope(scope []string, kind, subject string) bool {
	if len(scope) == 0 {
		return true
	}
	for _, glob := range scope {
		for _, what := range []string{kind, kind + ":" + subject} {
			if ok, err := path.Match(glob, what); ok && err == nil {
				return true
			}
		}
	}
	return false
}
