package pgtest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// maxLog bounds what a server's log may take in memory; the start is kept (it
// tells why something did not start) and the newest half of the rest.
const maxLog = 8 << 20

// Logf receives progress lines; testing.TB's Logf is one.
type Logf func(format string, args ...any)

// Log collects what a process prints. Safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	text    []byte        // guarded by mu
	total   int           // guarded by mu; bytes ever written, the trimmed ones too
	changed chan struct{} // guarded by mu; closed and replaced on each write
}

func newLog() *Log { return &Log{changed: make(chan struct{})} }

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	l.total += len(p)
	if len(l.text) > maxLog {
		head, tail := l.text[:maxLog/4], l.text[len(l.text)-maxLog/2:]
		l.text = append(append(bytes.Clone(head), "\n[...]\n"...), tail...)
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

// String returns everything collected so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// Mark returns a place for WaitFrom: what comes after now.
func (l *Log) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// since returns what was written after the mark and is still kept; the caller
// holds mu.
func (l *Log) since(mark int) []byte {
	return l.text[max(0, len(l.text)-(l.total-mark)):]
}

// longestLine is how much of a line Tail shows; a log quotes statements whole.
const longestLine = 300

// Tail returns the last n lines, long ones cut.
func (l *Log) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(l.String(), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	for i, line := range lines {
		if len(line) > longestLine {
			lines[i] = line[:longestLine] + "..."
		}
	}
	return strings.Join(lines, "\n")
}

// WaitFor blocks until the log holds one of the texts or the time is over;
// the error quotes the log's end.
func (l *Log) WaitFor(limit time.Duration, texts ...string) error {
	return l.waitOrEnd(0, limit, nil, texts)
}

// WaitFrom is WaitFor over what came after the mark that Mark returned.
func (l *Log) WaitFrom(mark int, limit time.Duration, texts ...string) error {
	return l.waitOrEnd(mark, limit, nil, texts)
}

// waitOrEnd also gives up when the writing process has ended.
func (l *Log) waitOrEnd(mark int, limit time.Duration, ended <-chan struct{}, texts []string) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		l.mu.Lock()
		changed := l.changed
		found := containsAny(l.since(mark), texts)
		l.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-changed:
		case <-ended:
			return fmt.Errorf("wait for %q: process ended; its log:\n%s", texts, l.Tail(30))
		case <-timeout.C:
			return fmt.Errorf("wait for %q: not within %v; its log:\n%s", texts, limit, l.Tail(30))
		}
	}
}

func containsAny(text []byte, wanted []string) bool {
	for _, w := range wanted {
		if bytes.Contains(text, []byte(w)) {
			return true
		}
	}
	return false
}
