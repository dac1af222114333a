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
stage race go test -race -timeout 20m ./...

echo
echo "Summary, $(($(date +%s) - began)) s in all:$report"
exit $status
