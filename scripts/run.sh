#!/bin/sh
# `make run`: a private PostgreSQL and Spillway before it, on loopback only,
# with everything kept below .run/. Ctrl-C ends both; the next run goes on with
# the same data. Remove .run/ to begin anew.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }
fail() {
	printf 'make run: %s\n' "$*" >&2
	exit 1
}

# PostgreSQL refuses to run as root: then its package's own account does it.
as_owner() {
	if [ "$(id -u)" -eq 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

# The folder must be one that account can reach; a clone below /root is not.
choose_folder() {
	run=$PWD/.run
	mkdir -p "$run"
	if ! as_owner test -x "$run"; then
		run=/var/tmp/spillway-run
		say "the account postgres cannot enter $PWD: data goes to $run"
	fi
	mkdir -p "$run/socket"
	if [ "$(id -u)" -eq 0 ]; then
		mkdir -p "$run/postgres"
		chown postgres "$run/postgres" "$run/socket"
		data=$run/postgres/data
	else
		data=$run/data
	fi
	# The path of a unix socket has at most 107 bytes.
	socket=$run/socket
	if [ ${#socket} -gt 80 ]; then socket=""; fi
}

newest_bin() {
	for found in /usr/lib/postgresql/*/bin; do
		if [ -x "$found/initdb" ]; then bin=$found; fi
	done
	if [ -z "${bin:-}" ]; then
		path=$(command -v initdb) || fail "initdb is not installed; on Debian: apt-get install postgresql"
		bin=${path%/*}
	fi
}

# Whether something listens on a TCP port, from the kernel's own tables.
taken() {
	hex=$(printf ':%04X' "$1")
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 4) == port {found = 1} END {exit !found}'
}

# Sets $port to the first free port from $1 on, and says so when that is another.
free_port() {
	port=$1
	while taken "$port"; do
		port=$((port + 1))
		[ "$port" -lt $(($1 + 200)) ] || fail "no free port between $1 and $port"
	done
	[ "$port" -eq "$1" ] || say "port $1 is taken: $2 gets $port"
}

secret() { # FILE: 24 random bytes as text, made once, for its owner alone
	[ -s "$1" ] || (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$1")
}

make_cluster() {
	[ ! -e "$data/PG_VERSION" ] || return 0
	say "making a PostgreSQL cluster in $data"
	as_owner "$bin/initdb" -D "$data" -U postgres -A scram-sha-256 -E UTF8 --locale=C.UTF-8 \
		--pwfile="$run/superuser.secret" >"$run/initdb.log" 2>&1 ||
		fail "initdb failed: $(tail -n 5 "$run/initdb.log")"
}

start_postgres() {
	if as_owner "$bin/pg_ctl" -D "$data" status >/dev/null 2>&1; then
		say "a PostgreSQL of an earlier run is still there: stopping it first"
		as_owner "$bin/pg_ctl" -D "$data" -m fast -w stop >/dev/null
	fi
	free_port 15432 PostgreSQL
	pg_port=$port
	: >>"$run/postgres.log"
	[ "$(id -u)" -ne 0 ] || chown postgres "$run/postgres.log"
	as_owner "$bin/pg_ctl" -D "$data" -w -l "$run/postgres.log" \
		-o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$socket' -c max_connections=100" \
		start >/dev/null 9>&- || fail "PostgreSQL did not start: $(tail -n 5 "$run/postgres.log")"
}

sql() { # DATABASE, then the statement on standard input
	PGOPTIONS='-c client_min_messages=warning' PGPASSWORD=$(cat "$run/superuser.secret") psql -X -q -A -t -v ON_ERROR_STOP=1 \
		-h 127.0.0.1 -p "$pg_port" -U postgres -d "$1"
}

make_roles() {
	sql postgres <<-SQL
		DO \$\$ BEGIN
		  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN CREATE ROLE app LOGIN; END IF;
		  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'spillway') THEN CREATE ROLE spillway LOGIN; END IF;
		END \$\$;
		SET password_encryption = 'scram-sha-256';
		ALTER ROLE app PASSWORD '$(cat "$run/app.secret")';
		ALTER ROLE spillway PASSWORD '$(cat "$run/spillway.secret")';
		GRANT pg_monitor, pg_signal_backend TO spillway;
		-- Jobs and sweeps keep their state in a schema of their own, and a sweep works as who owns the table.
		GRANT CREATE ON DATABASE postgres TO spillway;
		GRANT app TO spillway;
	SQL
	if [ -z "$(say "SELECT 1 FROM pg_database WHERE datname = 'app'" | sql postgres)" ]; then
		say "CREATE DATABASE app OWNER app" | sql postgres
	fi
	# Spillway gets the verifiers PostgreSQL keeps, no password: SCRAM passes through.
	(umask 077 && say "SELECT format('\"%s\" \"%s\"', rolname, rolpassword) FROM pg_authid WHERE rolname = 'app'" |
		sql postgres >"$run/userlist.txt")
}

write_config() {
	free_port 6432 Spillway
	listen_port=$port
	# Nothing listens on Spillway's own port yet: look behind it.
	first=6433
	[ "$listen_port" -lt 6433 ] || first=$((listen_port + 1))
	free_port "$first" "the admin address"
	admin_port=$port
	host=127.0.0.1:$pg_port query=""
	if [ -n "$socket" ]; then host="" query="?host=$socket&port=$pg_port"; fi
	cat >"$run/spillway.yaml" <<-YAML
		# Written by \`make run\` at every start.
		region: local
		listen: ["127.0.0.1:$listen_port"]
		admin: "127.0.0.1:$admin_port"
		data_dir: "$run/spillway"
		servers:
		  main:
		    url: "postgres://spillway@$host/postgres$query"
		    password_file: spillway.secret
		databases:
		  app: {server: main, dbname: app, pool_mode: transaction}
		  "*": {server: main}
		auth:
		  type: scram-sha-256
		  file: userlist.txt
		  admins: [app]
	YAML
}

introduce() {
	cat <<-TEXT

		Spillway stands before a private PostgreSQL. Try, in another terminal:

		  export PGPASSWORD=$(cat "$run/app.secret")
		  psql -h 127.0.0.1 -p $listen_port -U app app           # through Spillway
		  psql -h 127.0.0.1 -p $listen_port -U app pgbouncer     # the console: SHOW POOLS; SHOW HELP;
		  $bin/pgbench -h 127.0.0.1 -p $listen_port -U app -i app
		  $bin/pgbench -h 127.0.0.1 -p $listen_port -U app -S -M prepared -c 50 -T 10 app
		  bin/spillway status -c $run/spillway.yaml              # also pools, holders, workloads, doctor, --help
		  bin/spillway job run -c $run/spillway.yaml --name hello --every 1m --deadline 10s -- echo hello
		  curl http://127.0.0.1:$admin_port/metrics              # also /readyz?verbose

		Config: $run/spillway.yaml   PostgreSQL's log: $run/postgres.log
		Ctrl-C ends both.

	TEXT
}

stop_postgres() {
	as_owner "$bin/pg_ctl" -D "$data" -m fast -w stop >/dev/null 2>&1 || true
}

# The signal goes to Spillway, which drains; a second Ctrl-C ends it at once.
# wait returns early for every trapped signal, so it is called until none came.
serve() {
	passed=""
	trap 'passed=INT; kill -INT "$pid" 2>/dev/null || true' INT
	trap 'passed=TERM; kill -TERM "$pid" 2>/dev/null || true' TERM HUP
	# In a session of its own, so that the terminal's Ctrl-C reaches it once.
	setsid bin/spillway serve -c "$run/spillway.yaml" &
	pid=$!
	code=0
	wait "$pid" || code=$?
	while [ -n "$passed" ]; do
		passed="" code=0
		wait "$pid" || code=$?
	done
	return "$code"
}

command -v go >/dev/null || fail "Go is not installed; see https://go.dev/doc/install"
./scripts/deps.sh run
newest_bin
choose_folder
# Two would take each other's PostgreSQL and data. PostgreSQL itself does not
# inherit the lock: it may outlive this script.
exec 9>"$run/lock"
flock -n 9 || fail "it runs already in this clone (with its data in $run); end that one first"
say "building Spillway; the first time takes some minutes"
make -s build
secret "$run/superuser.secret"
secret "$run/app.secret"
secret "$run/spillway.secret"
[ "$(id -u)" -ne 0 ] || chown postgres "$run/superuser.secret" # initdb reads it
make_cluster
trap 'stop_postgres' EXIT
start_postgres
make_roles
write_config
introduce
serve
