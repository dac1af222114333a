#!/bin/sh
# Everything a reviewer should not have to say. Usage: check.sh GOLANGCI_LINT
set -eu
lint=${1:?usage: check.sh GOLANGCI_LINT}
cd "$(dirname "$0")/.."

status=0
unformatted=$(git ls-files '*.go' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
	echo "not gofmt-ed:" >&2
	echo "$unformatted" >&2
	status=1
fi
go vet ./... || status=1
"$lint" run ./... || status=1
if command -v shellcheck >/dev/null; then
	git ls-files 'scripts/*.sh' .ci/run | xargs shellcheck || status=1
else
	echo "shellcheck is not installed: scripts were not checked"
fi
exit $status
