package pgtest

import (
	"os"
	"strings"
	"testing"
)

// KindsVariable names the environment variable that replaces the kinds a suite
// runs on: a comma-separated list such as "pgbouncer/session,spillway-epoll".
const KindsVariable = "SPILLWAY_KINDS"

// Drivers are the ways Spillway can drive its sockets on Linux.
var Drivers = []string{"epoll", "uring"}

// AllKinds are Kinds and, unless the environment says otherwise, the portable
// driver beside the others: for suites that hold the drivers against each other.
func AllKinds(t testing.TB, modes ...string) []Kind {
	t.Helper()
	all := Kinds(t, modes...)
	if os.Getenv(KindsVariable) == "" {
		for _, mode := range modes {
			all = append(all, SpillwayKind("goroutine", mode))
		}
	}
	return all
}

// Kinds are those a suite runs on: Spillway under every driver in each of the
// modes, or what the environment says.
func Kinds(t testing.TB, modes ...string) []Kind {
	t.Helper()
	var all []Kind
	if list := os.Getenv(KindsVariable); list != "" {
		for s := range strings.SplitSeq(list, ",") {
			k, err := ParseKind(strings.TrimSpace(s))
			if err != nil {
				t.Fatalf("%s: %v", KindsVariable, err)
			}
			all = append(all, k)
		}
		return all
	}
	for _, driver := range Drivers {
		for _, mode := range modes {
			all = append(all, SpillwayKind(driver, mode))
		}
	}
	return all
}
