package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spillway/internal/machine"
)

// stopLimit bounds an orderly end.
const stopLimit = 2 * time.Minute

// PgBouncerOptions say how the distribution's PgBouncer is run.
type PgBouncerOptions struct {
	INI      string            // pgbouncer.ini; {dir} stands for the folder of its files
	Userlist string            // written to {dir}/userlist.txt
	Files    map[string]string // further files in {dir}, by name
}

// Proxy is a running pooler: a process with its folder.
type Proxy struct {
	*Process
	Dir    string // its files
	Config string // the path of its config file
}

// PgBouncer starts PgBouncer; it ends with the test.
func PgBouncer(t testing.TB, o PgBouncerOptions) *Proxy {
	t.Helper()
	p, err := LaunchPgBouncer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PgBouncer, end of log:\n%s", p.Log.Tail(40))
		}
		if err := p.Close(); err != nil {
			t.Errorf("close PgBouncer: %v", err)
		}
	})
	return p
}

// LaunchPgBouncer is PgBouncer outside tests; the caller must Close.
func LaunchPgBouncer(o PgBouncerOptions) (*Proxy, error) {
	path, err := Program("pgbouncer", "pgbouncer")
	if err != nil {
		return nil, err
	}
	p, err := newProxy("pgbouncer.ini", o.INI, o.Files)
	if err != nil {
		return nil, err
	}
	as, err := machine.ServerOwner()
	if err == nil {
		err = as.WriteFile(filepath.Join(p.Dir, "userlist.txt"), []byte(o.Userlist), 0o600)
	}
	if err == nil {
		err = as.Give(p.Dir)
	}
	if err == nil {
		p.Process, err = start(command{path: path, args: []string{p.Config}, as: as})
	}
	if err == nil {
		err = p.waitLog(0, startLimit, "process up")
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// newProxy makes the folder and writes the config and the other files.
func newProxy(name, config string, files map[string]string) (*Proxy, error) {
	as, err := machine.ServerOwner()
	if err != nil {
		return nil, err
	}
	dir, err := tempDir(as, "spx")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Dir: dir, Config: filepath.Join(dir, name)}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("write %s: %w", file, err), p.Close())
		}
	}
	if err := p.WriteConfig(config); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// WriteConfig replaces the config file, in one step; {dir} stands for Dir.
// The process reads it when told to (Signal with SIGHUP).
func (p *Proxy) WriteConfig(text string) error {
	next := p.Config + ".next"
	if err := os.WriteFile(next, []byte(strings.ReplaceAll(text, "{dir}", p.Dir)), 0o644); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	if err := os.Rename(next, p.Config); err != nil {
		return fmt.Errorf("publish config: %w", err)
	}
	return nil
}

// Close ends the process and removes its files. A process that ended by
// itself before is an error.
func (p *Proxy) Close() error {
	var err error
	if p.Process != nil {
		if p.Alive() {
			_ = p.StopWith(syscall.SIGINT, stopLimit) // how it exits is the caller's business only while it runs
		} else if p.err != nil {
			err = fmt.Errorf("%s ended by itself: %w", p.Name, p.err)
		}
	}
	return errors.Join(err, os.RemoveAll(p.Dir))
}
