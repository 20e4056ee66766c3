#!/bin/sh
# What tools/layers accepts and refuses: one line of C in one file a case. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

number=0
failed=0
check() { # accepted|refused FILE LINE
	rm -rf "${scratch:?}/src" "$scratch/include"
	mkdir -p "$scratch/${2%/*}"
	printf '/* a comment */\n%s\n' "$3" >"$scratch/$2"
	out=$(tools/layers "$scratch")
	status=$?
	number=$((number + 1))
	case $1:$status:$out in
	accepted:0:) echo "ok $number - $2 may say $3" ;;
	refused:1:"$2:2: "*) echo "ok $number - $2 may not say $3" ;;
	*)
		echo "not ok $number - expected $1: $2 saying $3"
		echo "# status $status, output: $out"
		failed=1
		;;
	esac
}

check accepted src/core/value.c '#include "core/buffer.h"'
check accepted src/core/value.c '#include "buffer.h"'
check accepted src/core/value.c '#include <amend/value.h>'
check accepted src/core/value.c '#include <string.h>'
check refused src/core/value.c '#include "sql/conn.h"'
check refused src/core/value.c ' # include "sync/plan.h"'
check refused src/core/value.c '#include <sql/conn.h>'
check refused src/core/value.c '#include "../sql/conn.h"'
check refused src/core/value.c '#include "cli/cli.h"'
check accepted src/sql/conn.c '#include "core/buffer.h"'
check refused src/sql/conn.c '#include "ledger/schema.h"'
check refused src/sql/conn.c '#include <libpq-fe.h>'
check refused src/sql/conn.c '#include <sqlite3.h>'
check accepted src/sql/driver/postgres.c '#include <libpq-fe.h>'
check accepted src/sql/driver/sqlite.c '#include "sql/driver.h"'
check refused src/sql/driver/sqlite.c '#include "record/write.h"'
check accepted src/ledger/base.c '#include "sql/sql.h"'
check refused src/ledger/base.c '#include "record/write.h"'
check accepted src/record/write.c '#include "ledger/base.h"'
check refused src/record/write.c '#include "sync/plan.h"'
check accepted src/sync/plan.c '#include "record/write.h"'
check refused src/sync/plan.c '#include <core/buffer.h>'
check refused src/sync/plan.c '#include "cli/cli.h"'
check accepted src/cli/sync.c '#include <amend/sync.h>'
check accepted src/cli/sync.c '#include "cli.h"'
check accepted src/cli/sync.c '#include <json-c/json.h>'
check refused src/cli/sync.c '#include "core/buffer.h"'
check refused src/cli/sync.c '#include "server/route.h"'
check refused src/cli/sync.c '#include <sqlite3.h>'
check refused src/other/thing.c '#include <string.h>'
check accepted include/amend/record.h '#include <amend/value.h>'
check refused include/amend/record.h '#include "core/value.h"'
check refused include/amend/sqlite.h '#include <sqlite3.h>'

echo "1..$number"
exit $failed
