package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size, written like 16MiB.
type Bytes int64

// Percent is a part of a hundred, written like 30%.
type Percent int

// complaint says what is wrong with a value, without quoting more than the
// file itself says, and how to mend it.
type complaint struct {
	what, why, mend string
}

func (c *complaint) Error() string { return c.what }

// Longest duration and largest size accepted; both fit what is computed of
// them with room to spare.
const (
	longestDuration = 3650 * 24 * time.Hour
	largestSize     = Bytes(1) << 40
	largestCount    = math.MaxInt32
)

func parseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	bad := &complaint{what: fmt.Sprintf("%q is not a duration", text), mend: "write a number and a unit: 250ms, 60s, 5m, 1h, 7d"}
	if isDigits(text) {
		return 0, &complaint{
			what: fmt.Sprintf("duration %s has no unit", text),
			mend: fmt.Sprintf("write %ss for seconds or %sms for milliseconds", text, text),
		}
	}
	whole := text
	var days time.Duration
	if n, rest, ok := strings.Cut(text, "d"); ok && isDigits(n) && len(n) < 6 {
		count, _ := strconv.Atoi(n)
		days, text = time.Duration(count)*24*time.Hour, rest
	}
	var d time.Duration
	if text != "" || whole == "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil || days > 0 && !isDigits(text[:1]) {
			return 0, bad
		}
	}
	switch d += days; {
	case d < 0:
		return 0, &complaint{what: fmt.Sprintf("duration %s is negative", whole), mend: "write 0 for no limit"}
	case d > longestDuration:
		return 0, &complaint{what: fmt.Sprintf("duration %s is longer than ten years", whole), mend: "write 0 for no limit"}
	}
	return d, nil
}

func formatDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	case d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	case d%time.Millisecond == 0:
		return strconv.FormatInt(int64(d/time.Millisecond), 10) + "ms"
	default:
		return d.String()
	}
}

func parseBytes(text string) (Bytes, error) {
	if text == "0" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "BKMGTikmgtb ")
	unit, known := sizeUnits()[strings.TrimSpace(text[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case isDigits(text):
		return 0, &complaint{what: fmt.Sprintf("size %s has no unit", text), mend: fmt.Sprintf("write %sB for bytes; units are B, KiB, MiB, GiB", text)}
	case err != nil || !known || !isDigits(digits):
		return 0, &complaint{what: fmt.Sprintf("%q is not a size", text), mend: "write a whole number and a unit: 512B, 64KiB, 16MiB, 1GiB"}
	case n > int64(largestSize/unit):
		return 0, &complaint{what: fmt.Sprintf("size %s is larger than %s", text, formatBytes(largestSize)), mend: "write a smaller size"}
	}
	return Bytes(n) * unit, nil
}

func sizeUnits() map[string]Bytes {
	return map[string]Bytes{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
}

func formatBytes(n Bytes) string {
	switch {
	case n != 0 && n%(1<<30) == 0:
		return strconv.FormatInt(int64(n>>30), 10) + "GiB"
	case n != 0 && n%(1<<20) == 0:
		return strconv.FormatInt(int64(n>>20), 10) + "MiB"
	case n != 0 && n%(1<<10) == 0:
		return strconv.FormatInt(int64(n>>10), 10) + "KiB"
	default:
		return strconv.FormatInt(int64(n), 10) + "B"
	}
}

// mostPercent is enough to borrow a hundred times one's share.
const mostPercent = 10000

func parsePercent(text string) (Percent, error) {
	digits, ok := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(digits)
	switch {
	case !ok || err != nil || !isDigits(digits):
		return 0, &complaint{what: fmt.Sprintf("%q is not a percentage", text), mend: "write a whole number and the sign: 30%"}
	case n > mostPercent:
		return 0, &complaint{what: fmt.Sprintf("%s is more than a hundredfold", text), mend: "write 0% to 10000%"}
	}
	return Percent(n), nil
}

func parseCount(text string) (int, error) {
	bare, negative := strings.CutPrefix(text, "-")
	n, err := strconv.Atoi(bare)
	switch {
	case !isDigits(bare):
		return 0, &complaint{what: fmt.Sprintf("%q is not a whole number", text), mend: "write digits only: 20"}
	case negative:
		return 0, &complaint{what: fmt.Sprintf("%s is negative", text), mend: "write 0 or more"}
	case err != nil || n > largestCount:
		return 0, &complaint{what: fmt.Sprintf("%s is too large", text), mend: fmt.Sprintf("write at most %d", largestCount)}
	}
	return n, nil
}

func parseRate(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > largestCount || strings.ContainsAny(text, "xXpPnN_") {
		return 0, &complaint{what: fmt.Sprintf("%q is not a rate", text), mend: "write a number per second, 0 or more: 2.5"}
	}
	return f, nil
}

func parseFlag(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	mend := "write true or false"
	switch strings.ToLower(text) {
	case "yes", "on", "1", "y", "true":
		mend = "write true"
	case "no", "off", "0", "n", "false":
		mend = "write false"
	}
	return false, &complaint{what: fmt.Sprintf("%q is neither true nor false", text), mend: mend}
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
