#!/bin/sh
# Runs every fuzz target of the module for FUZZTIME, one after the other, and
# goes on after a failure so that one run shows them all.
set -eu
cd "$(dirname "$0")/.."
: "${FUZZTIME:=10m}"

failed="" count=0
for package in $(go list ./...); do
	# `go test -list` prints matching names, then a line about the package.
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		count=$((count + 1))
		echo "== $package $target for $FUZZTIME"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" "$package" || failed="$failed $package:$target"
	done
done
if [ -n "$failed" ]; then
	echo "fuzz: $count targets, failed:$failed" >&2
	exit 1
fi
echo "fuzz: $count targets, $FUZZTIME each, nothing found"
