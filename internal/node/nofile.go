package node

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fixedFiles is what a node has open besides clients and servers: log,
// listeners, the admin address's connections, epoll and timer descriptors.
const fixedFiles = 128

// raiseFiles raises the limit of open files to what need more connections take
// and returns the limit that holds now. The hard limit is raised too where this
// process may; where it may not, the soft limit goes up to the hard one.
func raiseFiles(need uint64) (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read limit of open files: %w", err)
	}
	want := unix.Rlimit{Cur: max(limit.Max, need), Max: max(limit.Max, need)}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &want) == nil {
		return want.Cur, nil
	}
	want = unix.Rlimit{Cur: limit.Max, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &want); err != nil {
		return limit.Cur, fmt.Errorf("raise limit of open files from %d to %d: %w", limit.Cur, limit.Max, err)
	}
	return want.Cur, nil
}
