package latency

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Transaction is one that pgbench has run.
type Transaction struct {
	End time.Time
	// MS is how long it took in milliseconds; with -R from when it was due.
	MS float64
}

// Read reads every log in a folder whose name begins with prefix, in no order.
// A last line that is cut is left out.
func Read(folder, prefix string) ([]Transaction, error) {
	files, err := filepath.Glob(filepath.Join(folder, prefix+"*"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("find pgbench's logs: none (%w)", err)
	}
	var all []Transaction
	for _, name := range files {
		if all, err = read(all, name); err != nil {
			return nil, fmt.Errorf("read pgbench's log: %w", err)
		}
	}
	return all, nil
}

func read(all []Transaction, name string) ([]Transaction, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 {
			continue
		}
		one, err := parse(fields)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, lines.Err()
}

// parse reads: client, number, µs, script, epoch, µs of it, and with -R the lag.
func parse(fields []string) (Transaction, error) {
	took, err1 := strconv.ParseFloat(fields[2], 64)
	seconds, err2 := strconv.ParseInt(fields[4], 10, 64)
	micros, err3 := strconv.ParseInt(fields[5], 10, 64)
	return Transaction{time.Unix(seconds, micros*1000), took / 1000}, errors.Join(err1, err2, err3)
}

// Between are the durations in milliseconds of those that ended in a span, the
// shortest first. A zero to is no bound.
func Between(all []Transaction, from, to time.Time) []float64 {
	var ms []float64
	for _, one := range all {
		if !one.End.Before(from) && (to.IsZero() || one.End.Before(to)) {
			ms = append(ms, one.MS)
		}
	}
	slices.Sort(ms)
	return ms
}

// At is a quantile of sorted values by the nearest rank, 0 of none.
func At(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
