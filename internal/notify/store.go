package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Store keeps the queues over a restart. Save may be slow: it is called from a
// goroutine that nobody waits for.
type Store interface {
	// Load returns what was last saved, nil for nothing.
	Load() ([]byte, error)
	// Save replaces what was saved, wholly or not at all.
	Save(state []byte) error
}

// File is a Store in one file, replaced by renaming a finished one over it.
type File struct{ Path string }

// largestFile bounds what is read back, in bytes: ten endpoints with a thousand
// troubles of 4 KiB each.
const largestFile = 64 << 20

// Load implements Store.
func (f File) Load() ([]byte, error) {
	file, err := os.Open(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read alarm queue: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, largestFile+1))
	if err == nil && len(text) > largestFile {
		err = fmt.Errorf("it has more than %d bytes", largestFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read alarm queue: %w", err)
	}
	return text, nil
}

// Save implements Store.
func (f File) Save(state []byte) error {
	if err := f.replace(state); err != nil {
		return fmt.Errorf("keep alarm queue: %w", err)
	}
	return nil
}

func (f File) replace(state []byte) error {
	fresh := f.Path + ".new"
	file, err := os.OpenFile(fresh, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(state)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh, f.Path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(f.Path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// SetAside moves a file that cannot be read out of the way, to be looked at.
func (f File) SetAside() error { return os.Rename(f.Path, f.Path+".bad") }

// state is what is kept: by the lane's name, by the alarm's key.
type state struct {
	Version int                          `json:"version"`
	Lanes   map[string]map[string]thread `json:"lanes"`
}

func encodeState(lanes map[string]map[string]thread) ([]byte, error) {
	return json.Marshal(state{1, lanes})
}

func decodeState(text []byte) (map[string]map[string]thread, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read alarm queue: %w", err)
	}
	if s.Version != 1 {
		return nil, fmt.Errorf("read alarm queue: version %d is not known here", s.Version)
	}
	return s.Lanes, nil
}
