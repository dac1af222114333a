#!/bin/sh
# Every drill, one after the other; pages and JSON go to .run/drills. Usage:
# drill.sh SPILLWAY [DRILL...]. SCALE is their --scale. Fails when a promise broke.
set -u
cd "$(dirname "$0")/.." || exit 1
./scripts/deps.sh run || exit 1
spillway=$1
shift
out=.run/drills
mkdir -p "$out"
[ $# -gt 0 ] || set -- $("$spillway" drill list | awk 'NR > 1 {print $1}')
report="" status=0
for name in "$@"; do
	echo "== $name"
	if "$spillway" drill run "$name" --scale "${SCALE:-1}" --html "$out/$name.html"; then verdict=ok; else
		verdict=FAILED
		status=1
	fi
	report="$report
  $verdict	$name	$out/$name.html"
done
echo
echo "Drills:$report"
exit $status
