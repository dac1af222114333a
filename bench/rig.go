package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"spillway/internal/pgtest"
)

// database is where everything is measured.
const database = "bench"

// rig is the PostgreSQL server and everyone who stands before it.
type rig struct {
	options    options
	server     *pgtest.Server
	certs      *pgtest.Certs
	meter      *meter
	contenders []*contender
	dir        string
}

// contender is one pooler under measurement.
type contender struct {
	Name    string // as -poolers has it
	version string
	*pgtest.Pooler
}

func newRig(o options) (*rig, error) {
	if err := pgtest.RaiseFiles(uint64(2*o.idle + 2000)); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "spb")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	r := &rig{options: o, dir: dir}
	for _, step := range []func() error{r.startServer, r.fill, r.startContenders} {
		if err := step(); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

func (r *rig) startServer() error {
	if err := os.Chmod(r.dir, 0o755); err != nil { // PgBouncer reads the certificates as postgres
		return fmt.Errorf("open folder: %w", err)
	}
	var err error
	if r.certs, err = pgtest.NewCerts(r.dir); err != nil {
		return err
	}
	r.server, err = pgtest.Launch(func(string, ...any) {}, pgtest.Options{Certs: r.certs, Settings: map[string]string{
		"max_connections": "200", "shared_buffers": "256MB", "fsync": "off",
		// Nothing that comes now and then may fall into one turn and not the next.
		"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "16GB",
	}})
	if err != nil {
		return err
	}
	r.meter, err = newMeter(r.server.PID())
	return err
}

func (r *rig) fill() error {
	pgbench, err := pgtest.Binary("pgbench")
	if err != nil {
		return err
	}
	if _, err := r.server.Query("CREATE DATABASE " + database); err != nil {
		return err
	}
	cmd := exec.Command(pgbench, "-i", "-q", "-s", fmt.Sprint(r.options.scale), database)
	cmd.Env = clientEnv(r.server.SocketDir, r.server.Port, false)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fill the database: %w: %s", err, out)
	}
	_, err = r.server.QueryIn(database, largeTable)
	return err
}

func (r *rig) startContenders() error {
	for spec := range strings.SplitSeq(r.options.poolers, ",") {
		c, err := r.startContender(strings.TrimSpace(spec))
		if err != nil {
			return fmt.Errorf("start %s: %w", spec, err)
		}
		r.contenders = append(r.contenders, c)
	}
	return nil
}

func (r *rig) startContender(spec string) (*contender, error) {
	name, extraFile, _ := strings.Cut(spec, "+")
	name, binary, _ := strings.Cut(name, "@")
	kind, err := pgtest.ParseKind(name)
	if err != nil {
		return nil, err
	}
	var extra []byte
	if extraFile != "" {
		if extra, err = os.ReadFile(extraFile); err != nil {
			return nil, fmt.Errorf("read more config: %w", err)
		}
	}
	p, err := pgtest.StartPooler(kind, pgtest.PoolerConfig{
		Server: r.server, Users: map[string]string{"postgres": ""}, PoolSize: r.options.poolSize,
		MaxClients: r.options.idle + 2000, Certs: r.certs, UnixServer: r.options.unixServer, Overlay: extra, Binary: binary,
	})
	if err != nil {
		return nil, err
	}
	return &contender{Name: spec, version: version(kind), Pooler: p}, nil
}

// turn runs one turn of a cell and turns failure into a reason.
func (r *rig) turn(ctx context.Context, c Cell, p *contender) Sample {
	if c.Cannot != nil {
		if why := c.Cannot(p); why != "" {
			return Sample{Reason: why}
		}
	}
	if c.Prepare != nil {
		if err := c.Prepare(r); err != nil {
			return Sample{Reason: err.Error()}
		}
	}
	s, err := c.Run(ctx, r, p)
	if err != nil {
		return Sample{Reason: err.Error()}
	}
	return s
}

func (r *rig) close() error {
	var errs []error
	for _, c := range r.contenders {
		errs = append(errs, c.Close())
	}
	if r.server != nil {
		errs = append(errs, r.server.Close())
	}
	if r.meter != nil {
		errs = append(errs, r.meter.close())
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// clientEnv is the environment of a libpq client.
func clientEnv(host string, port int, tls bool) []string {
	mode := "disable"
	if tls {
		mode = "require"
	}
	return append(os.Environ(), "PGHOST="+host, fmt.Sprintf("PGPORT=%d", port), "PGUSER=postgres",
		"PGSSLMODE="+mode, "PGGSSENCMODE=disable", "PGPASSFILE=/nonexistent")
}
