package node

import (
	"context"
	"errors"
	"fmt"
)

// step is one thing that starts and stops. Either half may be nil.
type step struct {
	name  string
	start func() error
	stop  func(ctx context.Context) error
}

// stack starts steps in order and stops what was started in reverse order. A
// step that fails to start stops those before it. Not safe for concurrent use.
type stack struct {
	started []step
}

// start runs all steps; on an error nothing is left running.
func (s *stack) start(ctx context.Context, steps []step) error {
	for _, one := range steps {
		if one.start != nil {
			if err := one.start(); err != nil {
				err = fmt.Errorf("start %s: %w", one.name, err)
				return errors.Join(err, s.stop(ctx))
			}
		}
		s.started = append(s.started, one)
	}
	return nil
}

// stop stops what runs, last first. Every step gets its turn whatever the
// others answer; the errors come back joined.
func (s *stack) stop(ctx context.Context) error {
	var errs []error
	for len(s.started) > 0 {
		last := s.started[len(s.started)-1]
		s.started = s.started[:len(s.started)-1]
		if last.stop == nil {
			continue
		}
		if err := last.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}
