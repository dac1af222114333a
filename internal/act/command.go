package act

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Bounds of a command.
const (
	maxOutput = 64 << 10 // bytes of its output that are recorded
	// killDelay is how long a command that was ended may hold its output open.
	killDelay = 2 * time.Second
)

func (r *Room) previewRun(ctx context.Context, a *Action, rules *Rules) error {
	c := rules.Commands[a.Order.Command]
	if c == nil {
		return &Refusal{Unknown, fmt.Sprintf("the runbook has no command %q", a.Order.Command),
			"It has " + strings.Join(slices.Sorted(maps.Keys(rules.Commands)), ", ") + "."}
	}
	a.Notes = append(a.Notes, "runs "+strings.Join(quoted(c.Argv), " "))
	if !a.Order.DryRun || len(c.DryRun) == 0 {
		return nil
	}
	var err error
	if a.Output, err = runCommand(ctx, c.DryRun, c.Timeout, a); err != nil {
		a.Error = err.Error()
	}
	return nil
}

func (r *Room) applyRun(ctx context.Context, a *Action, rules *Rules) error {
	c := rules.Commands[a.Order.Command]
	var err error
	a.Output, err = runCommand(ctx, c.Argv, c.Timeout, a)
	return err
}

// runCommand runs a program without a shell, in a process group of its own that
// ends with it, with who and why in its environment and nothing on its input.
func runCommand(ctx context.Context, argv []string, timeout time.Duration, a *Action) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := &bounded{}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = commandEnv(a)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killDelay
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("ended after %v: %w", timeout, ctx.Err())
	}
	return out.text(), err
}

// commandEnv passes on what programs need to find others and their own
// settings, not what Spillway's own environment holds of secrets.
func commandEnv(a *Action) []string {
	env := []string{"SPILLWAY_ACTION=" + a.ID, "SPILLWAY_WHO=" + a.Who, "SPILLWAY_REASON=" + a.Order.Reason}
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ", "KUBECONFIG"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func quoted(argv []string) []string {
	list := make([]string, len(argv))
	for i, word := range argv {
		list[i] = word
		if word == "" || strings.ContainsAny(word, " \t\n\"'\\") {
			list[i] = fmt.Sprintf("%q", word)
		}
	}
	return list
}

// bounded keeps the start of what is written and counts the rest. exec copies
// from one goroutine, as stdout and stderr are the same value.
type bounded struct {
	kept bytes.Buffer
	lost int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), maxOutput-b.kept.Len())
	b.kept.Write(p[:n])
	b.lost += len(p) - n
	return len(p), nil
}

func (b *bounded) text() string {
	text := strings.ToValidUTF8(b.kept.String(), "?")
	if b.lost > 0 {
		text += fmt.Sprintf("\n… %d bytes more\n", b.lost)
	}
	return text
}
