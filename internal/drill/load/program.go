package load

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Operator is a person with psql who tries to get in again and again, each time
// with a new login.
type Operator struct {
	Psql  string   // path
	Env   []string // of libpq
	SQL   string
	Every time.Duration
	Limit time.Duration // of one try
}

// Look is one try.
type Look struct {
	At   time.Time
	Took time.Duration
	Said string // what psql printed
	Err  error  // with psql's words
}

// Run tries until ctx ends and tells note of each try.
func (o Operator) Run(ctx context.Context, note func(Look)) error {
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for {
		note(o.try())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (o Operator) try() Look {
	ctx, cancel := context.WithTimeout(context.Background(), o.Limit)
	defer cancel()
	l := Look{At: time.Now()}
	l.Said, l.Err = Once(ctx, o.Psql, o.Env, "-XAt", "-F", "|", "-c", o.SQL)
	l.Took = time.Since(l.At)
	return l
}

// Once runs a program to its end and returns what it printed; the error has its
// complaint.
func Once(ctx context.Context, path string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	if ctx.Err() != nil {
		return out.String(), errors.New("no answer in time")
	}
	if text := strings.TrimSpace(complaint.String()); err != nil && text != "" {
		return out.String(), errors.New(text)
	}
	return strings.TrimSpace(out.String()), err
}
