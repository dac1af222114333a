package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"spillway/internal/pgtest"
)

// trouble is one thing that goes wrong around the proxy.
type trouble struct {
	name, about string
	keys        []string // what the keys of its findings begin with
	stays       bool     // for -minutes in one stretch, not in rounds
	make        func(ctx context.Context) error
	// check says whether it is really there, in words for the report.
	check func(ctx context.Context) (string, error)
	mend  func(ctx context.Context) error
}

func (r *rig) troubles() []trouble {
	return []trouble{
		{name: "disk", about: "the log's disk is full", keys: []string{"record/log"}, make: r.fillDisk, check: r.logWaits, mend: r.freeDisk},
		{name: "server", about: "another PostgreSQL is away", keys: []string{"server/second", "probe/second", "login/second"}, make: r.stopSecond, check: r.bystanders, mend: r.resumeSecond},
		{name: "endpoint", about: "the alarms' endpoint hangs", keys: []string{"notify/oncall"}, stays: true, make: r.hangPager, check: r.alarmsWait, mend: r.answerPager},
	}
}

func (r *rig) ballast() string { return filepath.Join(r.disk, "ballast") }

// fillDisk leaves no byte free where the log is.
func (r *rig) fillDisk(context.Context) error {
	file, err := os.Create(r.ballast())
	if err != nil {
		return err
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = file.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		return errors.Join(fmt.Errorf("fill the disk: %w", err), file.Close())
	}
	return file.Close()
}

func (r *rig) freeDisk(context.Context) error { return os.Remove(r.ballast()) }

// logWaits says how much waits for the log.
func (r *rig) logWaits(ctx context.Context) (string, error) {
	var state struct {
		Waiting int
		Lost    uint64
		Problem string
	}
	if err := get(ctx, r.watch.api+"/api/v1/record", &state); err != nil {
		return "", err
	}
	if state.Problem == "" {
		return "", errors.New("the log is written although its disk is full")
	}
	return fmt.Sprintf("%d events waited for the log, %d found no room", state.Waiting, state.Lost), nil
}

func (r *rig) stopSecond(context.Context) error {
	r.steady.take()
	return r.second.Stop(pgtest.Immediate)
}

func (r *rig) resumeSecond(context.Context) error { return r.second.Resume() }

func (r *rig) bystanders(context.Context) (string, error) {
	_, failed := r.steady.take()
	if failed == 0 {
		return "", errors.New("no client misses the server that is away")
	}
	return fmt.Sprintf("%d statements of the %d clients of the other server failed", failed, bystanders), nil
}

// pages is how many pages wait at the endpoint.
const pages = 5

func (r *rig) page(ctx context.Context, status string) error {
	for n := range pages {
		body := fmt.Sprintf(`{"key":"page-%d","status":%q,"level":"page","summary":"page %d of the benchmark"}`, n, status, n)
		if err := post(ctx, r.watch.api, body); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) hangPager(ctx context.Context) error {
	r.pager.hang()
	return r.page(ctx, "firing")
}

// alarmsWait says how many alarms wait, and how often the endpoint was tried.
func (r *rig) alarmsWait(ctx context.Context) (string, error) {
	var channels struct {
		Items []struct {
			Channel string
			Waiting int
		}
	}
	if err := get(ctx, r.watch.api+"/api/v1/notify", &channels); err != nil {
		return "", err
	}
	if len(channels.Items) != 1 || channels.Items[0].Waiting == 0 {
		return "", fmt.Errorf("no alarm waits at the endpoint: %+v", channels.Items)
	}
	r.pager.mu.Lock()
	defer r.pager.mu.Unlock()
	return fmt.Sprintf("%d alarms waited, tried %d times", channels.Items[0].Waiting, r.pager.asked), nil
}

func (r *rig) answerPager(ctx context.Context) error {
	r.pager.answer()
	return r.page(ctx, "resolved")
}
