package rig

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"spillway/internal/machine"
)

// Rig is the place of one drill: a folder, and all that runs from it. Methods
// are safe for concurrent use, but Close is the last call.
type Rig struct {
	as      machine.Owner
	folder  *folder
	secrets map[string]string // by role; guarded by mu
	kept    map[string]string // the verifiers of them; guarded by mu

	mu    sync.Mutex
	ends  []func() error // guarded by mu; run in reverse order
	count int            // guarded by mu; of folders made
}

// New makes the folder; nothing runs yet. Close it.
func New() (*Rig, error) {
	as, err := machine.ServerOwner()
	if err != nil {
		return nil, err
	}
	f, err := newFolder()
	if err != nil {
		return nil, err
	}
	return &Rig{as: as, folder: f, secrets: map[string]string{}, kept: map[string]string{}}, nil
}

// secret is the password of a role, made when first asked for.
func (r *Rig) secret(role string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.secrets[role] == "" {
		r.secrets[role] = rand.Text()
	}
	return r.secrets[role]
}

// verifier is what servers keep of a role's password, the same for all.
func (r *Rig) verifier(role string) (string, error) {
	secret := r.secret(role)
	r.mu.Lock()
	defer r.mu.Unlock()
	if kept := r.kept[role]; kept != "" {
		return kept, nil
	}
	kept, err := verifier(secret)
	r.kept[role] = kept
	return kept, err
}

// Run starts a client program; it ends with the rig at the latest.
func (r *Rig) Run(c Command) (*Process, error) {
	p, err := r.start(c)
	if err != nil {
		return nil, err
	}
	r.atEnd(func() error { _ = p.Stop(syscall.SIGKILL, clientLimit); return nil })
	return p, nil
}

// clientLimit bounds the wait for the end of a killed client.
const clientLimit = 5 * time.Second

// start starts a program and notes it in the marker.
func (r *Rig) start(c Command) (*Process, error) {
	p, err := start(c)
	if err != nil {
		return nil, err
	}
	if err := r.folder.add(p.PID()); err != nil && p.alive() {
		return nil, errors.Join(err, p.Stop(syscall.SIGKILL, clientLimit))
	}
	return p, nil
}

// File writes a file of the rig's folder for programs of this account, and
// returns its path.
func (r *Rig) File(name, content string) (string, error) {
	path := filepath.Join(r.folder.path, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return path, nil
}

func (r *Rig) atEnd(end func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, end)
}

// subfolder returns a new path; owned ones PostgreSQL may write.
func (r *Rig) subfolder(owned bool) (string, error) {
	r.mu.Lock()
	r.count++
	path := filepath.Join(r.folder.path, fmt.Sprint(r.count))
	r.mu.Unlock()
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	if owned {
		return path, r.as.Give(path)
	}
	return path, nil
}

// Close ends everything, the last started first, and removes the folder.
func (r *Rig) Close() error {
	r.mu.Lock()
	ends := r.ends
	r.ends = nil
	r.mu.Unlock()
	var err error
	for i := len(ends) - 1; i >= 0; i-- {
		err = errors.Join(err, ends[i]())
	}
	if removed := os.RemoveAll(r.folder.path); removed != nil {
		err = errors.Join(err, fmt.Errorf("remove the drill's folder: %w", removed))
	}
	_ = os.Remove(root()) // stays when another drill uses it
	return err
}
