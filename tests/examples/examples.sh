#!/bin/sh
# Installs the library into a folder of its own, builds the example programs against that alone, as
# their comments say, and runs them. Speaks TAP. usage: examples.sh BUILD ENGINE...
set -u
build=$1
shift
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
scratch=$(mktemp -d "${AMEND_TEST_TMP:-${TMPDIR:-/tmp}}/examples.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT

number=0
failed=0
check() { # NAME COMMAND...: it ends with 0; what it prints is kept in $scratch/out
	name=$1
	shift
	number=$((number + 1))
	if "$@" >"$scratch/out" 2>&1; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		sed 's/^/# /' "$scratch/out"
		failed=1
		return 1
	fi
}

says() { # TEXT...: each is in what the last program printed
	for text in "$@"; do
		check "and says: $text" grep -qF -- "$text" "$scratch/last"
	done
}

runs() { # NAME COMMAND...
	check "$@" || return 1
	cp "$scratch/out" "$scratch/last"
}

# --- Installed elsewhere: the pkg-config file is told so, as it would be by --prefix. ---

install_library() {
	meson install -C "$build" --no-rebuild --quiet --destdir "$scratch/root" || return 1
	file=$(find "$scratch/root" -name amend.pc) || return 1
	[ -n "$file" ] || { echo 'no amend.pc was installed' && return 1; }
	prefix=$(sed -n 's/^prefix=//p' "$file")
	sed -i "s|^prefix=.*|prefix=$scratch/root$prefix|" "$file"
	PKG_CONFIG_PATH=${file%/*}
	export PKG_CONFIG_PATH
}

compile() { # NAME PACKAGE...
	program=$1
	shift
	# shellcheck disable=SC2046 # flags are words
	"${CC:-cc}" -std=gnu11 -Wall -Wextra -Werror -o "$scratch/$program" \
		"$top/examples/$program.c" $(pkg-config --cflags --libs "$@")
}

headers_alone() {
	! grep -n '#include "' "$top"/examples/*.c
}

check 'the library installs' install_library || { echo "1..$number" && exit 1; }
LD_LIBRARY_PATH=$(pkg-config --variable=libdir amend)
export LD_LIBRARY_PATH
check 'examples include installed headers alone' headers_alone
check 'counter.c compiles' compile counter amend
check 'form.c compiles' compile form amend

# --- Run, on each engine of the build. ---

counter_and_form() { # ENGINE URL
	runs "$1: the counter ends at the sum" "$scratch/counter" "$2" && says 'from 0 to 1600'
	runs "$1: and counts on" "$scratch/counter" "$2" && says 'from 1600 to 3200'
	runs "$1: the form" "$scratch/form" "$2" &&
		says 'ann saves: updated' 'ben saves: stale' 'refused: ann changed it at' \
			': coffee was missing' \
			'base       title="Tea"  body="Two kinds."' \
			'current    title="Tea and coffee"  body="Two kinds."' \
			'incoming   title="Tea"  body="Three kinds."' \
			'ben saves: updated' 'body is now "Three kinds."'
}

for engine in "$@"; do
	case $engine in
	sqlite)
		counter_and_form sqlite "$scratch/app.db"
		;;
	postgresql)
		check 'libpq.c compiles' compile libpq amend libpq
		if [ -z "${AMEND_TEST_POSTGRES:-}" ]; then
			number=$((number + 1))
			if [ "${CI:-}" = true ]; then
				echo "not ok $number - postgresql: no server (hint: tools/servers run)"
				failed=1
			else
				echo "ok $number - postgresql # SKIP no server (hint: tools/servers run)"
			fi
			continue
		fi
		database=examples_$$
		url=$(printf '%s' "$AMEND_TEST_POSTGRES" | sed "s|^\(postgresql://[^/]*/\)[^?]*|\1$database|")
		# The server's role is called amend, and "$user" comes first in its search path: without
		# this, what the programs create would lie in amend's own schema.
		check 'postgresql: a database' psql -X -q "$AMEND_TEST_POSTGRES" \
			-c "CREATE DATABASE $database" \
			-c "ALTER DATABASE $database SET search_path = public"
		counter_and_form postgresql "$url"
		runs 'postgresql: within a transaction of libpq' "$scratch/libpq" "$url" &&
			says 'take 3 of lamp: updated' 'take 99 of lamp: rejected' \
				'refused: qty is 7, adding -99 would break its bounds (at least 0)'
		check 'postgresql: the database goes' \
			psql -X -q "$AMEND_TEST_POSTGRES" -c "DROP DATABASE $database"
		;;
	esac
done

echo "1..$number"
exit "$failed"
