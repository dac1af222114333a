package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	rows     int
	full     bool
	limit    time.Duration // of one method
	turns    int           // of the sweep beside the load
	rate     int           // pgbench transactions a second
	clients  int
	baseline time.Duration // before and after
	durable  bool
	skipIdle bool
	skipLoad bool
	only     string
	verbose  bool
	share    string
	batch    time.Duration
}

func main() {
	var s settings
	flag.IntVar(&s.rows, "rows", 2_000_000, "rows of the table; 96 % of them are doomed")
	flag.BoolVar(&s.full, "full", false, "50 million rows, as in the report: an hour or two, and 30 GB of disk")
	flag.DurationVar(&s.limit, "limit", 45*time.Second, "longest time for one method beside the load")
	flag.IntVar(&s.rate, "rate", 200, "foreground transactions a second (TPC-B, through the proxy)")
	flag.IntVar(&s.clients, "clients", 8, "foreground clients")
	flag.DurationVar(&s.baseline, "baseline", 20*time.Second, "how long the foreground is measured before and after, and between turns")
	flag.IntVar(&s.turns, "turns", 3, "the sweep beside the load is paused this often, less one, to measure the foreground without it")
	flag.BoolVar(&s.durable, "durable", true, "PostgreSQL with fsync; without, a disk shared with others disturbs less")
	flag.BoolVar(&s.skipIdle, "skip-idle", false, "leave out the runs without load")
	flag.BoolVar(&s.skipLoad, "skip-load", false, "leave out the runs beside the load")
	flag.StringVar(&s.only, "only", "", "these methods, with commas between: sweep, single (a sweep with one batch at a time, only if named), delete, script, limit")
	flag.StringVar(&s.share, "share", "25%", "the sweep's --share beside the load")
	flag.DurationVar(&s.batch, "batch", time.Millisecond, "the sweep's --batch beside the load")
	flag.BoolVar(&s.verbose, "v", false, "show the sweep's progress and brakes")
	flag.Parse()
	if s.full {
		s.rows = 50_000_000
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench-sweep:", err)
		os.Exit(1)
	}
}

// measure runs every method and prints the tables.
func measure(ctx context.Context, s settings) error {
	r, err := newRig(s)
	if err != nil {
		return err
	}
	defer r.close()
	fmt.Printf("%d rows, %d doomed; table %s, with its four indexes %s; %s\n", s.rows, r.doomed, r.size, r.total, r.machine)
	if !s.skipIdle {
		if err := r.idle(ctx); err != nil {
			return err
		}
	}
	if !s.skipLoad {
		return r.loaded(ctx)
	}
	return nil
}
