package drill

import (
	"context"
	"strings"

	"spillway/internal/drill/load"
)

// spillway gives one command of the command line to this side's node.
func (s *Scene) spillway(ctx context.Context, args ...string) (string, error) {
	return load.Once(ctx, s.Tools.Spillway, nil, append(args, "-c", s.Guard.Config)...)
}

// did notes an action of people and what came of it.
func (s *Scene) did(what, out string, err error) {
	if line, _, _ := strings.Cut(out, "\n"); line != "" {
		what += ": " + line
	}
	if err != nil {
		what += " failed: " + err.Error()
		s.Gauge.Event("operator", "failed", what)
		return
	}
	s.Gauge.Event("operator", "action", what)
}

// untilNamed waits until the cause is named; false when ctx ends first.
func (s *Scene) untilNamed(ctx context.Context) bool {
	select {
	case <-s.Gauge.Named():
		return true
	case <-ctx.Done():
		return false
	}
}
