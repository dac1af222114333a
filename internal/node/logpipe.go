package node

import (
	"io"
	"sync"
	"time"
)

// pipeBytes bounds what waits for a slow log reader.
const pipeBytes = 1 << 20

// pipe takes log lines without ever blocking the writer: an event loop must
// not wait for a terminal or a full journal. Lines that do not fit are dropped
// and counted, and the count is written as soon as there is room.
type pipe struct {
	out  io.Writer
	lost func(lines int) // writes to out that lines were dropped
	wake chan struct{}   // holds one token when there is something to write
	done chan struct{}   // closed when the goroutine has ended

	mu      sync.Mutex
	waiting []byte // guarded by mu
	spare   []byte // guarded by mu; the buffer written last, to be used again
	dropped int    // guarded by mu; lines since the last write
	closed  bool   // guarded by mu
}

// newPipe starts the goroutine that writes to out; Close ends it. Dropped lines
// are told through lost, called between writes.
func newPipe(out io.Writer, lost func(lines int)) *pipe {
	p := &pipe{out: out, lost: lost, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go p.run()
	return p
}

// Write implements io.Writer for whole lines; it never blocks and never fails.
// After Close lines go straight to the output.
func (p *pipe) Write(line []byte) (int, error) {
	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		return p.out.Write(line)
	case len(p.waiting)+len(line) > pipeBytes:
		p.dropped++
	default:
		p.waiting = append(p.waiting, line...)
	}
	p.mu.Unlock()
	p.poke()
	return len(line), nil
}

func (p *pipe) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pipe) run() {
	defer close(p.done)
	for {
		<-p.wake
		for p.writeWaiting() {
		}
		p.mu.Lock()
		ended := p.closed && len(p.waiting) == 0
		p.mu.Unlock()
		if ended {
			return
		}
	}
}

// writeWaiting writes what waits now and reports whether there was any.
func (p *pipe) writeWaiting() bool {
	p.mu.Lock()
	lines, dropped := p.waiting, p.dropped
	p.waiting, p.dropped = p.spare[:0], 0
	p.spare = nil
	p.mu.Unlock()
	if len(lines) == 0 && dropped == 0 {
		return false
	}
	// A log that cannot be written has nowhere to say so.
	_, _ = p.out.Write(lines)
	if dropped > 0 {
		p.lost(dropped)
	}
	p.mu.Lock()
	p.spare = lines[:0]
	p.mu.Unlock()
	return true
}

// Close writes what waits, for at most limit, and ends the goroutine. Where the
// output itself blocks, the goroutine is left behind in that write.
func (p *pipe) Close(limit time.Duration) {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.poke()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-p.done:
	case <-timeout.C:
	}
}
