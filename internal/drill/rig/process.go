package rig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"spillway/internal/machine"
)

// Command says what to run and how.
type Command struct {
	Path  string
	Args  []string
	Env   []string       // added to this process's environment
	Death syscall.Signal // sent if this process dies first; 0 is SIGKILL
	Lines func(string)   // told every line of the output, in order; may be nil

	as machine.Owner
}

// Process is one running program. Its output's end is kept.
type Process struct {
	name  string
	cmd   *exec.Cmd
	lines *lines
	done  chan struct{} // closed when it has ended and its output is read
	err   error         // how it ended; valid after done is closed
}

// start runs a program in a process group of its own, so that the terminal's
// Ctrl-C reaches only the drill, which then stops all in order.
func start(c Command) (*Process, error) {
	if c.Death == 0 {
		c.Death = syscall.SIGKILL
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir = "/" // the owner may not enter ours
	cmd.Env = append(os.Environ(), c.Env...)
	out := &lines{tell: c.Lines}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as.Credential, Setpgid: true, Pdeathsig: c.Death}
	cmd.WaitDelay = 5 * time.Second // children of a killed postmaster hold the pipe for a moment
	p := &Process{name: filepath.Base(c.Path), cmd: cmd, lines: out, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		out.end()
		close(p.done)
	}()
	return p, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Tail returns the end of the output.
func (p *Process) Tail() string { return p.lines.tail() }

// Err is how the process ended; call it after Done.
func (p *Process) Err() error { return p.err }

func (p *Process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal; a process that is gone already is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// Stop sends the signal, waits up to limit, and kills past it.
func (p *Process) Stop(sig syscall.Signal, limit time.Duration) error {
	if err := p.Signal(sig); err != nil {
		return err
	}
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-p.done:
		return nil
	case <-timeout.C:
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return fmt.Errorf("stop %s: it did not end within %v and was killed", p.name, limit)
}

// tailLines is how much of an output is kept.
const tailLines = 40

// maxLine bounds a line's memory; the rest of a longer one is dropped.
const maxLine = 64 << 10

// lines cuts an output into lines, tells them and keeps the last ones.
type lines struct {
	tell func(string)

	mu   sync.Mutex
	part []byte   // guarded by mu
	last []string // guarded by mu
}

var _ io.Writer = (*lines)(nil)

// Write implements io.Writer; it is called by one goroutine.
func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			l.mu.Lock()
			l.part = append(l.part, b[:min(len(b), max(maxLine-len(l.part), 0))]...)
			l.mu.Unlock()
			return n, nil
		}
		l.line(b[:end])
		b = b[end+1:]
	}
}

func (l *lines) line(rest []byte) {
	l.mu.Lock()
	text := string(append(l.part, rest...))
	l.part = l.part[:0]
	l.last = append(l.last, text)
	if len(l.last) > tailLines {
		l.last = l.last[1:]
	}
	l.mu.Unlock()
	if l.tell != nil {
		l.tell(text)
	}
}

func (l *lines) end() {
	l.mu.Lock()
	open := len(l.part) > 0
	l.mu.Unlock()
	if open {
		l.line(nil)
	}
}

func (l *lines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "\n")
}
