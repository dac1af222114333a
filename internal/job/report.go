package job

import (
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// maxReport bounds what is read of a report.
const maxReport = 1 << 20

// countRows adds up the numbers of a report, one a line; -1 when there is none.
func countRows(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return -1
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, maxReport)) // what cannot be read is no report
	total := int64(-1)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "rows "))
		rows, err := strconv.ParseInt(line, 10, 64)
		if err != nil || rows < 0 {
			continue
		}
		if total = max(total, 0); rows > math.MaxInt64-total {
			return math.MaxInt64
		}
		total += rows
	}
	return total
}
