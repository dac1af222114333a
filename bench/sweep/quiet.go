package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"spillway/bench/latency"
	"spillway/internal/probe"
)

const (
	// hostEvery is how often it is asked what the host has taken.
	hostEvery = 500 * time.Millisecond
	// mostTaken is the part of the processors' time that a quiet span may have
	// lost: one tick of /proc/stat in half a second of two of them.
	mostTaken = 0.01
)

// host knows when the machine's host ran others in place of it: what is slow then
// says nothing of a sweep. Not safe for concurrent use but for stop.
type host struct {
	looks []look
	end   context.CancelFunc
	ended chan struct{}
}

type look struct {
	at    time.Time
	taken float64 // seconds of all processors since the machine started
	cpus  int
}

func watchHost(ctx context.Context) *host {
	ctx, cancel := context.WithCancel(ctx)
	h := &host{end: cancel, ended: make(chan struct{})}
	go func() {
		defer close(h.ended)
		var machine probe.Machine
		for wait(ctx, hostEvery) == nil {
			if err := machine.Look(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "bench-sweep: what the host takes is not known:", err)
				return
			}
			if now := machine.Get(time.Now(), hostEvery); now != nil {
				h.looks = append(h.looks, look{now.At, now.StolenSeconds, now.CPUs})
			}
		}
	}()
	return h
}

// stop ends the looks; what was seen may be read afterwards.
func (h *host) stop() {
	h.end()
	<-h.ended
}

// quiet are the durations of s, sorted, that ended in quiet spans of one of the
// turns, and which part of the turns' time those are.
func (h *host) quiet(s samples, turns []turn) (ms []float64, part float64) {
	var all, quiet time.Duration
	for i := 1; i < len(h.looks); i++ {
		from, to := h.looks[i-1], h.looks[i]
		if !slices.ContainsFunc(turns, func(t turn) bool { return !from.at.Before(t.from) && !to.at.After(t.to) }) {
			continue
		}
		span := to.at.Sub(from.at)
		all += span
		if to.taken-from.taken <= mostTaken*span.Seconds()*float64(to.cpus)+1e-3 {
			quiet += span
			ms = append(ms, s.between(from.at, to.at)...)
		}
	}
	slices.Sort(ms)
	if all > 0 {
		part = quiet.Seconds() / all.Seconds()
	}
	return ms, part
}

// quietly says how p99 rose in the spans in which the host took nothing.
func (h *host) quietly(s samples, rests, work []turn) string {
	without, restPart := h.quiet(s, rests)
	with, workPart := h.quiet(s, work)
	if len(without) == 0 || len(with) == 0 {
		return "-"
	}
	a, b := latency.At(without, 0.99), latency.At(with, 0.99)
	return fmt.Sprintf("%.2f, %.2f: %+.0f %% (%.0f and %.0f %% of the time)", a, b, 100*(b/a-1), 100*restPart, 100*workPart)
}
