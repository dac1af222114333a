package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/pgtest"
)

// method is one way to delete; it returns how many rows it got rid of until it
// was done or ctx ended.
type method struct {
	name, about string
	run         func(ctx context.Context, r *rig, database string) (int64, error)
}

func methods() []method {
	return []method{
		{"sweep", "spillway sweep", sweepIt},
		{"single", "one batch at a time", sweepSingly},
		{"delete", "(a) one big DELETE", bigDelete},
		{"script", "(b) 10,000 rows every 30 s", script},
		{"limit", "(c) DELETE … IN (SELECT … LIMIT 10,000)", limited},
	}
}

// picked says whether -only names the method; without it all are but single.
func (r *rig) picked(m method) bool {
	if r.only == "" {
		return m.name != "single"
	}
	return slices.Contains(strings.Split(r.only, ","), m.name)
}

func (r *rig) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, r.server.URL(pgtest.Login{Database: database}))
}

// long runs one statement without a limit of time.
func (r *rig) long(database, statement string) error {
	conn, err := r.connect(context.Background(), database)
	if err != nil {
		return err
	}
	_, err = conn.Exec(context.Background(), statement)
	return errors.Join(err, conn.Close(context.Background()))
}

// sweepIt runs the command as a person would, straight to PostgreSQL.
func sweepIt(ctx context.Context, r *rig, database string) (int64, error) {
	return r.sweep(ctx, database)
}

// sweepSingly is the same with one batch in flight at a time: with a rate, which
// it does not reach, it has no use for two.
func sweepSingly(ctx context.Context, r *rig, database string) (int64, error) {
	return r.sweep(ctx, database, "--rate", "1000000000")
}

func (r *rig) sweep(ctx context.Context, database string, more ...string) (int64, error) {
	args := []string{"sweep", "run", "public.sessions", "--where", condition, "--yes", "--no-vacuum", "-o", "json", "--url", r.server.URL(pgtest.Login{Database: database})}
	return r.command(ctx, append(args, more...)...)
}

// command runs spillway and reads how much it deleted; when ctx ends it pauses.
func (r *rig) command(ctx context.Context, args ...string) (int64, error) {
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	if r.verbose {
		cmd.Stderr = io.MultiWriter(&progress, os.Stderr)
	}
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return 0, fmt.Errorf("%w: %s", err, &progress)
	}
	var end struct{ Deleted int64 }
	if err := json.Unmarshal(out.Bytes(), &end); err != nil {
		return 0, fmt.Errorf("read the sweep's end: %w: %s%s", err, &out, &progress)
	}
	return end.Deleted, nil
}

func bigDelete(ctx context.Context, r *rig, database string) (int64, error) {
	conn, err := r.connect(ctx, database)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	tag, err := conn.Exec(ctx, "DELETE FROM sessions WHERE "+condition)
	if ctx.Err() != nil {
		return 0, nil // rolled back: nothing is gone
	}
	return tag.RowsAffected(), err
}

// batch is (c), and what (b) does every 30 s.
const batch = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE " + condition + " LIMIT 10000)"

func script(ctx context.Context, r *rig, database string) (int64, error) {
	return r.loop(ctx, database, 30*time.Second)
}

func limited(ctx context.Context, r *rig, database string) (int64, error) {
	return r.loop(ctx, database, 0)
}

func (r *rig) loop(ctx context.Context, database string, every time.Duration) (total int64, err error) {
	conn, err := r.connect(ctx, database)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for ctx.Err() == nil {
		begun := time.Now()
		tag, err := conn.Exec(ctx, batch)
		if ctx.Err() != nil {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		total += tag.RowsAffected()
		if tag.RowsAffected() == 0 {
			break
		}
		select {
		case <-time.After(max(every-time.Since(begun), 0)):
		case <-ctx.Done():
		}
	}
	return total, nil
}
