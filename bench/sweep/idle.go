package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// scriptWindow is how long (b) is watched: three of its batches.
const scriptWindow = 90 * time.Second

// idle measures every method with nobody else there.
func (r *rig) idle(ctx context.Context) error {
	fmt.Printf("\nalone\n\n")
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "method\trows\tseconds\trows/s\tsweep is")
	var sweep float64
	for _, m := range methods() {
		if !r.picked(m) {
			continue
		}
		if err := r.fresh("bench"); err != nil {
			return err
		}
		bound, cancel := ctx, context.CancelFunc(func() {})
		switch m.name {
		case "script":
			bound, cancel = context.WithTimeout(ctx, scriptWindow)
		case "limit":
			bound, cancel = context.WithTimeout(ctx, 5*r.limit)
		}
		begun := time.Now()
		rows, err := m.run(bound, r, "bench")
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		took := time.Since(begun).Seconds()
		rate := float64(rows) / took
		if m.name == "sweep" {
			sweep = rate
		}
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.0f\t%.1f ×\n", m.about, rows, took, rate, sweep/rate)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return r.drop("bench")
}
