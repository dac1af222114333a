package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// run breaks the tree by every mutant, or by those named.
func run(ctx context.Context, names []string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	b := bench{root: root, dir: dir, sound: map[catcher]error{}}
	err = b.all(ctx, names)
	return errors.Join(err, os.RemoveAll(dir))
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// bench is where mutants are made and tried.
type bench struct {
	root, dir string
	sound     map[catcher]error // what the unbroken tree says
}

func (b *bench) all(ctx context.Context, names []string) error {
	var bad []error
	for _, m := range mutants {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		begun := time.Now()
		err := b.try(ctx, m)
		verdict := "caught by " + m.catcher.test
		if err != nil {
			verdict = "NOT CAUGHT: " + err.Error()
			bad = append(bad, fmt.Errorf("%s: %w", m.name, err))
		}
		fmt.Printf("%-38s %-32s %4.0f s  %s\n", m.name, m.file, time.Since(begun).Seconds(), verdict)
	}
	return errors.Join(bad...)
}

// try says nil when the mutant is caught.
func (b *bench) try(ctx context.Context, m mutant) error {
	if _, known := b.sound[m.catcher]; !known {
		b.sound[m.catcher] = b.test(ctx, m.catcher, "")
	}
	if err := b.sound[m.catcher]; err != nil {
		return fmt.Errorf("%s fails on the unbroken tree: %w", m.catcher.test, err)
	}
	overlay, err := b.breakTree(m)
	if err != nil {
		return err
	}
	var failed *failure
	switch err := b.test(ctx, m.catcher, overlay); {
	case err == nil:
		return errors.New(m.catcher.test + " passes")
	case errors.As(err, &failed) && failed.by(m.catcher):
		return nil
	default:
		return err
	}
}

// breakTree writes the broken file and the overlay that puts it in place.
func (b *bench) breakTree(m mutant) (overlay string, err error) {
	text, err := m.text(b.root)
	if err != nil {
		return "", err
	}
	broken := filepath.Join(b.dir, m.name+".go")
	if err := os.WriteFile(broken, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("write mutant: %w", err)
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(b.root, m.file): broken}})
	if err != nil {
		return "", fmt.Errorf("make overlay: %w", err)
	}
	overlay = filepath.Join(b.dir, m.name+".json")
	if err := os.WriteFile(overlay, list, 0o644); err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	return overlay, nil
}

// text is the mutant's file with the fault in it.
func (m *mutant) text(root string) (string, error) {
	source, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", fmt.Errorf("read source: %w", err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("find the text to break in %s: it stands there %d times, not once:\n%s", m.file, n, m.old)
	}
	return strings.Replace(string(source), m.old, m.new, 1), nil
}

// failure is a run of go that did not end well.
type failure struct{ out string }

func (f *failure) Error() string {
	lines := strings.Split(strings.TrimSpace(f.out), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// by tells whether it was the catcher that failed, rather than the build. One
// that waits for ever for an answer has noticed as well.
func (f *failure) by(c catcher) bool {
	hung := strings.Contains(f.out, "panic: test timed out") && strings.Contains(f.out, "\t"+c.test)
	return hung || strings.Contains(f.out, "--- FAIL: "+c.test+" ")
}

// test runs a catcher; overlay "" is the unbroken tree.
func (b *bench) test(ctx context.Context, c catcher, overlay string) error {
	env := os.Environ()
	args := []string{"test", "-vet=off", "-count=1", "-timeout", "3m", "-run", "^" + c.test + "$"}
	if c.built {
		binary := filepath.Join(b.dir, "spillway")
		if err := b.goTool(ctx, env, overlaid(overlay, "build", "-o", binary, "./cmd/spillway")); err != nil {
			return err
		}
		// One driver and one length are enough to notice a fault.
		env = append(env, "SPILLWAY_BIN="+binary, "SPILLWAY_KINDS=spillway-epoll/transaction", "SPILLWAY_ISOLATION=20s")
	} else {
		args = overlaid(overlay, args...)
	}
	return b.goTool(ctx, env, append(args, c.pkg))
}

// overlaid adds the overlay to a command of go, behind its verb.
func overlaid(overlay string, args ...string) []string {
	if overlay == "" {
		return args
	}
	return slices.Insert(slices.Clone(args), 1, "-overlay="+overlay)
}

func (b *bench) goTool(ctx context.Context, env, args []string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = b.root, env
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended) && ctx.Err() == nil:
		return &failure{string(out)}
	case err != nil:
		return fmt.Errorf("run go %s: %w", args[0], errors.Join(err, ctx.Err()))
	}
	return nil
}
