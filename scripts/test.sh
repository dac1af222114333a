#!/bin/sh
# Tests the whole module: vet, every test, then the race detector's pass. Ends
# with what ran, what failed and how long it took. Usage: test.sh [race]
set -u
cd "$(dirname "$0")/.." || exit 1
./scripts/deps.sh test || exit 1

began=$(date +%s) report="" status=0
stage() { # NAME COMMAND...
	name=$1
	shift
	since=$(date +%s)
	echo "== $name: $*"
	if "$@"; then verdict=ok; else
		verdict=FAILED
		status=1
	fi
	report="$report
  $verdict	$name	$(($(date +%s) - since)) s"
}

if [ "${1:-all}" = all ]; then
	stage build go build ./...
	stage vet go vet ./...
	stage tests go test -timeout 20m ./...
fi
# Under the detector the pooler itself is built with it. Left out are suites
# whose own code runs nothing at once, and those that measure.
# shellcheck disable=SC2046 # a list of packages
stage race env SPILLWAY_RACE=1 SPILLWAY_ISOLATION=30s go test -race -timeout 20m \
	$(go list ./... | grep -Ev '^spillway/(bench|internal/(drill|job|sweep/run)|test/(bounds|contain|doctor|jobs|pgxsuite|sweep|tools))(/|$)')

echo
echo "Summary, $(($(date +%s) - began)) s in all:$report"
exit $status
