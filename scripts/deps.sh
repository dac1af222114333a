#!/bin/sh
# Installs packages through apt-get when a program or module they bring is
# missing. Usage: deps.sh run|test. What is there already is left alone, and
# without apt the names are printed for the system's own package tool.
set -eu

missing=""
need() { # PACKAGE, then a command that succeeds when it is there
	package=$1
	shift
	"$@" >/dev/null 2>&1 || missing="$missing $package"
}
program() { command -v "$1" || [ -x "/usr/sbin/$1" ]; }
postgres_program() {
	for found in /usr/lib/postgresql/*/bin/"$1"; do
		[ -x "$found" ] && return 0
	done
	program "$1"
}

case ${1:-} in
run)
	need postgresql postgres_program initdb
	need postgresql-client program psql
	;;
test)
	need postgresql postgres_program initdb
	need postgresql-client program psql
	need pgbouncer program pgbouncer
	need prometheus-pgbouncer-exporter program prometheus-pgbouncer-exporter
	need python3 program python3
	need python3-psycopg2 /usr/bin/python3 -c 'import psycopg2'
	need python3-psycopg /usr/bin/python3 -c 'import psycopg'
	need python3-asyncpg /usr/bin/python3 -c 'import asyncpg'
	# promtool checks and tests the rules that `spillway rules` prints.
	need prometheus program promtool
	# The race detector links with C.
	need gcc program gcc
	need libc6-dev test -e /usr/include/stdlib.h
	;;
*)
	echo "usage: $0 run|test" >&2
	exit 2
	;;
esac

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
	echo "$0: missing:$missing (Debian's package names); install them and run again" >&2
	exit 1
fi
sudo=""
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "$0: missing:$missing; neither root nor sudo is here, so run as root: apt-get install -y$missing" >&2
		exit 1
	fi
	sudo=sudo
fi
echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The lists may be fresh enough already; a mirror that fails shows at install.
$sudo apt-get update -qq >"$log" 2>&1 || true
# shellcheck disable=SC2086 # a list of words
if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; then
	cat "$log" >&2
	echo "$0: apt-get could not install:$missing" >&2
	exit 1
fi
