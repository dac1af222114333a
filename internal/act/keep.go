package act

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// kept is the file of actions.
type kept struct {
	Version int       `json:"version"`
	Actions []*Action `json:"actions"`
}

const (
	keptVersion = 1
	maxKept     = 16 << 20 // bytes of the file that are read
	maxOnDisk   = 200      // actions kept that do not stand
)

// load reads the file; none is no error. What was under way when the process
// ended is marked as failed.
func load(path string) ([]*Action, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open kept actions: %w", err)
	}
	defer file.Close()
	var k kept
	if err := json.NewDecoder(io.LimitReader(file, maxKept)).Decode(&k); err != nil {
		return nil, fmt.Errorf("read kept actions %s: %w", path, err)
	}
	if k.Version != keptVersion {
		return nil, fmt.Errorf("read kept actions %s: version %d is not known", path, k.Version)
	}
	list := k.Actions[:0]
	for _, a := range k.Actions {
		if a == nil || a.ID == "" {
			continue
		}
		if a.State == Underway {
			a.State, a.Error, a.EndedAt = Failed, "the process ended before it did", time.Now().Round(0)
		}
		list = append(list, a)
	}
	return list, nil
}

// keepWait is how long an action waits to be on disk: a pause must not hang on a
// disk that does.
const keepWait = 2 * time.Second

var errSlowDisk = errors.New("the disk does not answer")

// keep has the actions as they are now written, and waits for that, but not for
// long.
func (r *Room) keep() error {
	if r.Path == "" {
		return nil
	}
	timer := time.NewTimer(keepWait)
	defer timer.Stop()
	done := make(chan error, 1)
	select {
	case r.saves <- done:
	case <-timer.C:
		return errSlowDisk
	}
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errSlowDisk
	}
}

// keeper writes, one after the other, until there is nobody left to ask.
func (r *Room) keeper() {
	for done := range r.saves {
		done <- r.save()
	}
}

// save writes the file anew, so that it is whole whenever the machine stops. No
// lock is held while the disk is waited for.
func (r *Room) save() error {
	text, err := json.Marshal(r.kept())
	if err != nil {
		return fmt.Errorf("write actions: %w", err)
	}
	fresh := r.Path + ".new"
	if err := writeSynced(fresh, text); err != nil {
		return fmt.Errorf("keep actions: %w", err)
	}
	if err := os.Rename(fresh, r.Path); err != nil {
		return fmt.Errorf("keep actions: %w", err)
	}
	folder, err := os.Open(filepath.Dir(r.Path))
	if err != nil {
		return fmt.Errorf("keep actions: %w", err)
	}
	defer folder.Close()
	return folder.Sync()
}

// kept is what is written: all that stands, and the latest of the rest.
func (r *Room) kept() kept {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := kept{Version: keptVersion}
	surplus := len(r.actions) - maxOnDisk
	for _, a := range r.actions {
		if surplus > 0 && a.State != Stands {
			surplus--
			continue
		}
		b := a.brief()
		k.Actions = append(k.Actions, &b)
	}
	return k
}

func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}
