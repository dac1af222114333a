//go:build unix

package job

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// leash is a shell that waits for its pipe to close, which a death without a
// word brings about too, and then kills the child's whole group: the kernel
// tells the command alone, not what that has started.
type leash struct {
	cmd *exec.Cmd
	let *os.File // the pipe's end that holds the shell back
}

// A line lets the group go, the pipe's end does not.
const leashScript = `trap "" HUP INT TERM; read -r line || kill -KILL "-$1"`

// leashTo ties a process group to this process.
func leashTo(group int) (*leash, error) {
	hold, let, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the leash's pipe: %w", err)
	}
	defer hold.Close()
	cmd := exec.Command("/bin/sh", "-c", leashScript, "leash", strconv.Itoa(group))
	cmd.Stdin = hold
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		_ = let.Close() // nothing was written
		return nil, fmt.Errorf("start the leash: %w", err)
	}
	return &leash{cmd, let}, nil
}

// letGo ends the leash and leaves the group alone.
func (l *leash) letGo() {
	if l == nil {
		return
	}
	_, _ = l.let.WriteString("\n") // where the shell is gone nothing is left to say
	_ = l.let.Close()
	_ = l.cmd.Wait()
}
