//go:build !linux

package uring

// Ring exists on Linux only.
type Ring struct{}

// Probe always returns ErrUnsupported here.
func Probe() (Features, error) { return Features{}, ErrUnsupported }

// New always returns ErrUnsupported here.
func New(Config) (*Ring, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Ring) Close() error { return nil }
