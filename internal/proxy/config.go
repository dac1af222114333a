package proxy

import "log/slog"

// Config is what a Proxy is made of. Listen, Driver and Loops hold for its
// lifetime; Policy is the first of those Apply will replace.
type Config struct {
	Listen    []Listen
	ReusePort bool   // SO_REUSEPORT on TCP listeners, for take-over by a second process
	Backlog   int    // 0 = 4096
	Driver    string // auto, epoll, io_uring or goroutine
	Loops     int    // 0 = one up to four CPUs, then a quarter of them
	Policy    *Policy
	Console   Console // nil: the admin databases do not exist
	Log       *slog.Logger
}
