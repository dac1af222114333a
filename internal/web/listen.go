package web

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// privateSocket is a unix socket that only its owner may connect to. It removes
// its path when closed, unless another process has put its own there since.
type privateSocket struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// maxSocketPath is the longest path of a unix socket on Linux, in bytes.
const maxSocketPath = 107

// listenPrivate makes the socket under another name, narrows its mode and then
// moves it to path: there is no moment at which others may connect, and a
// socket left behind or that of a predecessor is replaced at once.
func listenPrivate(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		// It could be made, and nobody could connect to it.
		return nil, fmt.Errorf("open admin socket: the path %s has more than %d bytes", path, maxSocketPath)
	}
	if err := replaceable(path); err != nil {
		return nil, err
	}
	fresh := filepath.Join(filepath.Dir(path), fmt.Sprintf(".s%d", os.Getpid()))
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old admin socket: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	s := &privateSocket{UnixListener: listener, path: path}
	if err := s.place(fresh); err != nil {
		return nil, errors.Join(err, listener.Close(), os.Remove(fresh))
	}
	return s, nil
}

// replaceable tells that path is free or a socket; anything else stays.
func replaceable(path string) error {
	found, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && found.Mode().Type() != fs.ModeSocket {
		err = fmt.Errorf("open admin socket: %s is there and is not a socket", path)
	}
	return err
}

func (s *privateSocket) place(fresh string) error {
	if err := os.Chmod(fresh, 0o600); err != nil {
		return fmt.Errorf("protect admin socket: %w", err)
	}
	made, err := os.Lstat(fresh)
	if err != nil {
		return fmt.Errorf("find admin socket: %w", err)
	}
	s.made = made
	if err := os.Rename(fresh, s.path); err != nil {
		return fmt.Errorf("place admin socket: %w", err)
	}
	return nil
}

// Close stops listening and removes the path if it is still ours.
func (s *privateSocket) Close() error {
	err := s.UnixListener.Close()
	if there, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(there, s.made) {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}
