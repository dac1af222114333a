package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// fromPeer turns a value as pgbouncer.ini writes it into the texts of our key:
// seconds become durations, 0 and 1 become false and true, commas make lists.
func fromPeer(k *key, value string) ([]string, error) {
	switch k.kind {
	case kindDuration:
		d, err := peerSeconds(value)
		return []string{formatDuration(d)}, err
	case kindFlag:
		on, err := peerFlag(value)
		return []string{strconv.FormatBool(on)}, err
	case kindSize:
		n, err := parseCount(value)
		return []string{formatBytes(Bytes(n))}, err
	case kindCount:
		_, err := parseCount(value)
		return []string{value}, err
	case kindList:
		return splitCommas(value), nil
	default:
		return []string{value}, nil
	}
}

// peerSeconds reads seconds as PgBouncer does, a fraction allowed.
func peerSeconds(value string) (time.Duration, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || f < 0 || f > longestDuration.Seconds() || strings.ContainsAny(value, "xXpPnN_") {
		return 0, &complaint{what: fmt.Sprintf("%q is not a number of seconds", value), mend: "write seconds, such as 30 or 0.5"}
	}
	return time.Duration(f * float64(time.Second)).Round(time.Microsecond), nil
}

func peerFlag(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "1", "on", "yes", "true":
		return true, nil
	case "0", "off", "no", "false":
		return false, nil
	}
	return false, &complaint{what: fmt.Sprintf("%q is neither 1 nor 0", value), mend: "write 1 or 0"}
}

func splitCommas(value string) []string {
	out := []string{}
	for _, part := range strings.Split(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
