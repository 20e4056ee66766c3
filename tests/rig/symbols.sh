#!/bin/sh
# What the shared library exports is what the headers declare: no more, no less. TAP.
# symbols.sh LIBRARY INCLUDE
set -u

library=$1
headers=$2
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

nm -D --defined-only "$library" | awk '{print $3}' | sed 's/@.*//' | sort >"$folder/exported"
# a declaration: AMEND_API, perhaps over several lines, up to the name before its parenthesis
cat "$headers"/*.h | tr '\n\t' '  ' | grep -o 'AMEND_API [^;{]*' |
	sed -n 's/^AMEND_API [^(]*[ *]\(amend_[a-z0-9_]*\)(.*/\1/p' | sort -u >"$folder/declared"

echo 1..3
if [ -s "$folder/declared" ]; then
	echo "ok 1 - the headers declare $(wc -l <"$folder/declared") functions"
else
	echo "not ok 1 - the headers declare functions"
fi
report() { # number, what, file with lines that should not be
	if [ -s "$3" ]; then
		echo "not ok $1 - $2"
		sed 's/^/# /' "$3"
	else
		echo "ok $1 - $2"
	fi
}
comm -23 "$folder/exported" "$folder/declared" >"$folder/extra"
comm -13 "$folder/exported" "$folder/declared" >"$folder/missing"
report 2 'nothing is exported that no header declares' "$folder/extra"
report 3 'all that the headers declare is exported' "$folder/missing"
[ -s "$folder/declared" ] && [ ! -s "$folder/extra" ] && [ ! -s "$folder/missing" ]
