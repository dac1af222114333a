package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"spillway/internal/pgtest"
)

// Parts of the set-up.
const (
	database  = "bench"
	scale     = 10
	diskBytes = 64 << 20 // of the log's file system
	token     = "a-token-of-the-benchmark"
)

// rig is everything that runs during the measurement.
type rig struct {
	settings
	dir           string
	disk          string // where data_dir is: a file system of its own
	first, second *pgtest.Server
	pager         *pager
	node          *pgtest.Pooler
	steady        *steady
	watch         *watch
	binary        string
}

func newRig(s settings) (*rig, error) {
	r := &rig{settings: s}
	for _, step := range []func() error{r.makeDisk, r.startServers, r.startNode, r.startSteady} {
		if err := step(); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

func (r *rig) makeDisk() error {
	var err error
	if r.dir, err = os.MkdirTemp("/tmp", "spt"); err != nil {
		return err
	}
	disk := filepath.Join(r.dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0777", diskBytes)); err != nil {
		return fmt.Errorf("mount a small disk (run as root): %w", err)
	}
	r.disk = disk
	return nil
}

func (r *rig) startServers() error {
	quiet := func(string, ...any) {}
	o := pgtest.Options{Settings: map[string]string{
		"max_connections": "100", "shared_buffers": "256MB",
		// Nothing that comes now and then may fall into one slice and not the next.
		"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "16GB",
	}}
	var err error
	if r.first, err = pgtest.Launch(quiet, o); err != nil {
		return err
	}
	if r.second, err = pgtest.Launch(quiet, pgtest.Options{}); err != nil {
		return err
	}
	if _, err = r.first.Query("CREATE DATABASE " + database); err != nil {
		return err
	}
	path, err := pgtest.Binary("pgbench")
	if err != nil {
		return err
	}
	fill := exec.Command(path, "-i", "-q", "-s", fmt.Sprint(scale), r.first.SocketURL(pgtest.Login{Database: database}))
	if out, err := fill.CombinedOutput(); err != nil {
		return fmt.Errorf("fill the database: %w: %s", err, out)
	}
	return nil
}

// config is what the node has besides the usual.
const config = `
region: bench
watch: {clear_after: 5s}
data_dir: %s
servers: {second: {url: %q}}
databases: {elsewhere: {server: second, dbname: postgres}}
alarms: {hook: {type: webhook, token: %s}}
notify: {oncall: {type: pagerduty, key: 0123456789abcdef0123456789abcdef, url: "http://%s/v2/enqueue", levels: [page], foreign: true}}
`

func (r *rig) startNode() error {
	var err error
	if r.pager, err = startPager(); err != nil {
		return err
	}
	if r.binary, err = pgtest.SpillwayBinary(); err != nil {
		return err
	}
	r.node, err = pgtest.StartPooler(pgtest.SpillwayKind("", "transaction"), pgtest.PoolerConfig{
		Server: r.first, Users: map[string]string{"postgres": ""},
		Overlay: fmt.Appendf(nil, config, r.disk, r.second.URL(pgtest.Login{}), token, r.pager.address),
	})
	return err
}

func (r *rig) startSteady() error {
	r.watch = startWatch("http://" + r.node.Admin)
	r.steady = startSteady("http://"+r.node.Admin, r.node.URL(pgtest.Login{Database: "elsewhere"}))
	return nil
}

// chain adds what verify says of the log that the troubles have left.
func (r *rig) chain(b *strings.Builder) error {
	out, err := exec.Command(r.binary, "incident", "verify", "-c", r.node.Config).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	fmt.Fprintf(b, "The log afterwards: %s\n", line)
	if err != nil {
		return fmt.Errorf("verify the log: %w: %s", err, out)
	}
	return nil
}

func (r *rig) close() error {
	var errs []error
	if r.steady != nil {
		r.steady.stop()
		r.watch.stop()
	}
	if r.node != nil {
		errs = append(errs, r.node.Close())
	}
	if r.pager != nil {
		errs = append(errs, r.pager.close())
	}
	for _, s := range []*pgtest.Server{r.first, r.second} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if r.disk != "" {
		errs = append(errs, unix.Unmount(r.disk, 0))
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}
