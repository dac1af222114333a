package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"spillway/internal/machine"
)

// Process is one running program with its captured output.
type Process struct {
	Name string
	Log  *Log

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its output is read
	err  error         // how it ended; valid after done is closed
}

// command says what to run and how.
type command struct {
	path  string
	args  []string
	env   []string // added to this process's environment
	dir   string
	as    machine.Owner
	death syscall.Signal // sent if this process dies first; 0 is SIGKILL
	log   *Log           // nil: a new one
}

// start runs the program and returns at once.
func start(c command) (*Process, error) {
	log := c.log
	if log == nil {
		log = newLog()
	}
	if c.death == 0 {
		c.death = syscall.SIGKILL
	}
	cmd := exec.Command(c.path, c.args...)
	cmd.Dir = c.dir
	if c.dir == "" {
		cmd.Dir = "/" // the owner may not enter ours
	}
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as.Credential, Setpgid: true, Pdeathsig: c.death}
	// A killed postmaster leaves children that hold the pipe for a moment.
	cmd.WaitDelay = 5 * time.Second
	p := &Process{Name: filepath.Base(c.path), Log: log, cmd: cmd, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Alive tells whether the process still runs.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal; a process that is gone already is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// Wait waits for the end. The error is how the process ended, or that it did
// not within the limit.
func (p *Process) Wait(limit time.Duration) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timeout.C:
		return fmt.Errorf("wait for %s (pid %d): still running after %v; its log:\n%s", p.Name, p.PID(), limit, p.Log.Tail(20))
	}
}

// StopWith sends the signal and waits; past the limit it kills and says so.
func (p *Process) StopWith(sig syscall.Signal, limit time.Duration) error {
	if err := p.Signal(sig); err != nil {
		return err
	}
	err := p.Wait(limit)
	if p.Alive() {
		return errors.Join(err, p.Kill9())
	}
	return err
}

// Kill9 kills the process and waits for its end.
func (p *Process) Kill9() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// runLimit bounds a program that ends by itself. The longest is a first build of
// Spillway with the race detector beside other tests on two cores.
const runLimit = 10 * time.Minute

// run runs a program to its end and returns its output; the error quotes it.
func run(c command) (string, error) {
	p, err := start(c)
	if err != nil {
		return "", err
	}
	if err := p.Wait(runLimit); err != nil {
		if p.Alive() {
			err = errors.Join(err, p.Kill9())
		}
		return p.Log.String(), fmt.Errorf("run %s: %w:\n%s", p.Name, err, p.Log.Tail(20))
	}
	return p.Log.String(), nil
}

// waitLog waits for one of the texts after the mark. A process that printed
// none of them and ended, or took too long, is killed.
func (p *Process) waitLog(mark int, limit time.Duration, texts ...string) error {
	err := p.Log.waitOrEnd(mark, limit, p.done, texts)
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.Name, err), p.Kill9())
	}
	return nil
}
