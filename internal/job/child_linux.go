package job

import (
	"runtime"
	"syscall"
)

// groupOfItsOwn also kills the command when this process dies without a word.
func groupOfItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// run starts the command and waits. The kernel counts the end of the thread
// that started a child as its parent's death, so the thread stays this one's.
func (c *child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	c.err = c.cmd.Wait()
	close(c.done)
}
