package proxy

import "errors"

func newRing(sink) (driver, error)      { return nil, errors.New("not built in yet") }
func newGoroutine(sink) (driver, error) { return nil, errors.New("not built in yet") }
