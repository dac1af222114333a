package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"spillway/internal/sweep/target"
)

// keepFile is the file rows are copied to before they go. Its length is saved
// with the cursor: what is beyond belongs to a batch that was never committed.
type keepFile struct {
	file *os.File
	size int64
}

// checkKeepFile makes the file; made says that it was not there before.
func checkKeepFile(path string) (made bool, err error) {
	if !filepath.IsAbs(path) {
		return false, &target.Refusal{What: fmt.Sprintf("the path %s is not absolute", path), Mend: "a resumed sweep may run from another folder: give the whole path"}
	}
	st, err := os.Stat(path)
	if err == nil && (st.Size() > 0 || !st.Mode().IsRegular()) {
		return false, &target.Refusal{What: fmt.Sprintf("%s is there and no empty file", path), Mend: "give another name"}
	}
	made = errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return false, &target.Refusal{What: fmt.Sprintf("file %s cannot be written: %v", path, errors.Unwrap(err))}
	}
	return made, f.Close()
}

// openKeep opens the file and cuts off what no committed batch wrote.
func openKeep(path string, size int64) (*keepFile, error) {
	flags := os.O_WRONLY
	if size == 0 {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("file %s with the %d bytes kept so far is not on this machine; resume the sweep where it is", path, size)
	}
	if err != nil {
		return nil, fmt.Errorf("open file to keep rows in: %w", err)
	}
	k := &keepFile{file: f}
	st, err := f.Stat()
	if err == nil && st.Size() < size {
		err = fmt.Errorf("it has %d bytes and should have %d: rows kept before are missing", st.Size(), size)
	}
	if err == nil {
		err = k.cut(size)
	}
	if err == nil {
		err = settle(filepath.Dir(path))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open file %s to keep rows in: %w", path, err)
	}
	return k, nil
}

// settle waits until the disk has the folder's entries: a file that is synced
// can still be lost with its name.
func settle(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cut takes the file back to a length.
func (k *keepFile) cut(size int64) error {
	if err := k.file.Truncate(size); err != nil {
		return err
	}
	if _, err := k.file.Seek(size, io.SeekStart); err != nil {
		return err
	}
	k.size = size
	return nil
}

// take runs a statement that returns rows, writes them and waits until the disk
// has them. It returns how many rows there were and the file's length.
func (k *keepFile) take(ctx context.Context, s *session, statement string) (rows, size int64, err error) {
	counted := &counter{w: k.file}
	tag, err := s.conn.PgConn().CopyTo(ctx, counted, "COPY ("+statement+") TO STDOUT")
	if err != nil {
		return 0, 0, err
	}
	if err := k.file.Sync(); err != nil {
		return 0, 0, &fileError{err}
	}
	return tag.RowsAffected(), k.size + counted.n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err != nil {
		err = &fileError{err}
	}
	return n, err
}

// fileError is that of the file, not of the database: trying again does not
// mend it.
type fileError struct{ err error }

// Error implements error.
func (e *fileError) Error() string { return "write file to keep rows in: " + e.err.Error() }

// Unwrap implements errors.
func (e *fileError) Unwrap() error { return e.err }
