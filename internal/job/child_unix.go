//go:build unix

package job

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is the command with all that it starts, as one process group.
type child struct {
	cmd  *exec.Cmd
	tied *leash        // nil where there is no shell
	done chan struct{} // closed when the command itself has ended
	err  error         // how; valid after done
}

// launch starts the command in a group of its own.
func (o *Order) launch(token int64, report string) (*child, error) {
	cmd := exec.Command(o.Command[0], o.Command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.Stdin, o.Stdout, o.Stderr
	cmd.Env = append(os.Environ(), "PGAPPNAME="+o.application(token), "SPILLWAY_JOB="+o.Name,
		fmt.Sprintf("SPILLWAY_JOB_TOKEN=%d", token), "SPILLWAY_JOB_REPORT="+report)
	cmd.SysProcAttr = groupOfItsOwn()
	// What the command leaves behind may hold its output open.
	cmd.WaitDelay = time.Second
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go c.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Command[0], err)
	}
	var err error
	if c.tied, err = leashTo(cmd.Process.Pid); err != nil {
		o.Tell(err.Error() + "; if this process is killed, what the command started is not")
	}
	return c, nil
}

// signal tells the whole group; a group that is gone is no error.
func (c *child) signal(s syscall.Signal) error {
	err := syscall.Kill(-c.cmd.Process.Pid, s)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %v to the job's processes: %w", s, err)
	}
	return nil
}

// gone tells whether no process of the group is left.
func (c *child) gone() bool { return errors.Is(syscall.Kill(-c.cmd.Process.Pid, 0), syscall.ESRCH) }

// end sends TERM, and KILL to what is left of the group after grace.
func (c *child) end(grace time.Duration) error {
	err := c.signal(syscall.SIGTERM)
	until := time.NewTimer(grace)
	defer until.Stop()
	tick := time.NewTicker(20 * time.Millisecond) // a group's end cannot be waited for
	defer tick.Stop()
	for !c.gone() {
		select {
		case <-tick.C:
			continue
		case <-until.C:
		}
		break
	}
	err = errors.Join(err, c.signal(syscall.SIGKILL))
	<-c.done
	return err
}

// exit is the exit code as a shell has it, and the signal that ended it.
func (c *child) exit() (code int, by syscall.Signal) {
	status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal()), status.Signal()
	}
	return c.cmd.ProcessState.ExitCode(), 0
}
