package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Free space in the data folder, in bytes: below the first the log is close to
// its end, below the second to be looked at.
const (
	spaceFail = 64 << 20
	spaceWarn = 1 << 30
)

// machine looks at limits and the data folder.
func (p *Plan) machine() *chart {
	c := &chart{area: "machine"}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		c.add(Warn, "open files", "", "the limit cannot be read: %v", err)
	} else {
		p.openFiles(c, limit.Max)
	}
	p.dataDir(c)
	return c
}

// openFiles holds the hard limit, to which the node raises its own, against the
// need. It is the limit of who calls doctor: a unit has its own.
func (p *Plan) openFiles(c *chart, limit uint64) {
	if limit < p.NeedFiles && os.Geteuid() != 0 {
		c.add(Warn, "open files", fmt.Sprintf("LimitNOFILE=%d in the unit, or a lower limits.max_clients", p.NeedFiles),
			"%d may be open at once, the config may need %d", limit, p.NeedFiles)
		return
	}
	c.add(OK, "open files", "", "up to %d, the config may need %d", max(limit, p.NeedFiles), p.NeedFiles)
}

func (p *Plan) dataDir(c *chart) {
	const check = "data_dir"
	st, err := os.Stat(p.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		parent := filepath.Dir(p.DataDir)
		if err := unix.Access(parent, unix.W_OK); err != nil {
			c.add(Fail, check, fmt.Sprintf("install -d -m 0700 -o USER %s", p.DataDir), "%s is not there and cannot be made: %v", p.DataDir, err)
			return
		}
		c.add(OK, check, "", "%s is not there yet; it is made at the start", p.DataDir)
		return
	}
	if err == nil && !st.IsDir() {
		err = errors.New("it is not a folder")
	}
	if err == nil {
		err = tryWrite(p.DataDir)
	}
	if err != nil {
		c.add(Fail, check, "let the user Spillway runs as write there, and make room", "%s cannot be written: %v", p.DataDir, err)
		return
	}
	if st.Mode().Perm()&0o022 != 0 {
		c.add(Fail, check, fmt.Sprintf("chmod 0700 %s", p.DataDir), "%s has mode %v: others may put their own socket there", p.DataDir, st.Mode().Perm())
	} else {
		c.add(OK, check, "", "%s can be written and kept safe (fsync)", p.DataDir)
	}
	if len(p.Socket) > longestSocket {
		c.add(Fail, "admin socket", "a data_dir with a shorter name", "the path %s is longer than %d bytes", p.Socket, longestSocket)
	}
	p.space(c)
}

// longestSocket is the longest path of a unix socket on Linux, in bytes.
const longestSocket = 107

// tryWrite makes a file, waits for the disk, and removes it.
func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor")
	if err != nil {
		return err
	}
	_, err = f.WriteString("spillway doctor\n")
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func (p *Plan) space(c *chart) {
	var st unix.Statfs_t
	if err := unix.Statfs(p.DataDir, &st); err != nil {
		c.add(Warn, "free space", "", "cannot be read: %v", err)
		return
	}
	free := st.Bavail * uint64(st.Bsize)
	status := OK
	switch {
	case free < spaceFail:
		status = Fail
	case free < spaceWarn:
		status = Warn
	}
	c.add(status, "free space", "make room, or move data_dir", "%d MiB in %s", free>>20, p.DataDir)
}
