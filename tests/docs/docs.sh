#!/bin/sh
# What `make run` shows, in a folder of its own; then the documents against it and against the command.
# Speaks TAP. usage: docs.sh AMEND
set -u
amend=$(realpath "$1") || exit 1
here=$(cd "$(dirname "$0")" && pwd) || exit 1
scratch=$(mktemp -d "${AMEND_TEST_TMP:-${TMPDIR:-/tmp}}/docs.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
# Links, not copies: the command finds its library by where it lies.
ln -s "$amend" "$scratch/amend" || exit 1

if ! BUILD=$scratch "$here/../../examples/run.sh" >"$scratch/session" 2>&1; then
	echo 'not ok 1 - examples/run.sh'
	sed 's/^/# /' "$scratch/session"
	echo '1..1'
	exit 1
fi
python3 "$here/docs.py" "$amend" "$scratch/session"
