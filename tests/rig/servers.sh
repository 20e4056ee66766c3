#!/bin/sh
# What tools/servers promises: the command's status, a private server, and nothing left behind,
# however it ends. Speaks TAP. Leaves the database's own behaviour to the other tests.
# shellcheck disable=SC2016,SC2317 # what the command expands; what `soon` calls
set -u
cd "$(dirname "$0")/../.." || exit 1

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
# Whatever calls this may itself run under tools/servers; and folders are counted in a place of our own.
unset AMEND_TEST_POSTGRES AMEND_TEST_MARIADB AMEND_TEST_TMP
chmod 711 "$scratch"
mkdir -m 711 "$scratch/tmp"
TMPDIR=$scratch/tmp
export TMPDIR

number=0
failed=0
ok() { # STATUS DESCRIPTION
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		failed=1
	fi
}

same() { # ACTUAL EXPECTED DESCRIPTION
	[ "$1" = "$2" ]
	ok $? "$3"
	[ "$1" = "$2" ] || printf '# expected %s\n# found    %s\n' "$2" "$1"
}

# Waits at most ninety seconds for a condition.
soon() {
	tries=0
	until "$@" 2>/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 900 ] || return 1
		sleep 0.1
	done
}

dead() { ! kill -0 "$1"; }
starting() { find "$TMPDIR" -path '*/server/data' | grep -q .; }
no_folder() { [ -z "$(ls -A "$TMPDIR")" ]; }

# What is left once tools/servers has ended.
nothing_left() { # DESCRIPTION
	soon dead "$(cat "$scratch/postmaster")"
	ok $? "$1: the server is gone"
	soon no_folder
	ok $? "$1: the folder is gone"
	find "$TMPDIR" -mindepth 1 -maxdepth 2 | sed 's/^/# left: /'
}

# A command that tells where its server is and stays.
cat >"$scratch/stay" <<'TXT'
#!/bin/sh
server=${AMEND_TEST_POSTGRES#*host=}
server=${server%%&*}
sed 1q "$server/data/postmaster.pid" >"$1/postmaster"
echo $$ >"$1/command"
: >"$1/running"
exec sleep "${2:-60}"
TXT
chmod +x "$scratch/stay"

# tools/servers in a process group of its own, as a terminal would start it; its id in $group.
start() {
	rm -f "$scratch/running" "$scratch/postmaster" "$scratch/command"
	env --default-signal=INT setsid tools/servers run -- "$scratch/stay" "$scratch" &
	group=$!
	soon test -e "$scratch/running"
	ok $? "$1: the command runs"
}

# --- the ordinary run
tools/servers run -- sh -c '"$1" "$2" 0; exit 7' sh "$scratch/stay" "$scratch"
same $? 7 "the status is the command's"
nothing_left "after a failure"

out=$(tools/servers run -- sh -c '
	psql -X -Atq "$AMEND_TEST_POSTGRES" -c "SELECT current_user, current_database(), rolsuper,
		current_setting(\$\$server_encoding\$\$), current_setting(\$\$listen_addresses\$\$) = \$\$\$\$,
		current_setting(\$\$fsync\$\$), current_setting(\$\$max_connections\$\$)::int >= 100
		FROM pg_roles WHERE rolname = current_user"
	test -d "$AMEND_TEST_TMP" && test -w "$AMEND_TEST_TMP" && echo writable' 2>&1)
same "$out" "amend|amend|t|UTF8|t|off|t
writable" "the database is as described"

out=$(tools/servers run --durable -- sh -c 'psql -X -Atq "$AMEND_TEST_POSTGRES" -c "SHOW fsync"' 2>&1)
same "$out" on "--durable keeps fsync on"

if command -v mariadb-install-db >/dev/null; then
	out=$(tools/servers run --mariadb -- sh -c '
		mariadb --no-defaults -N -B -u amend -S "${AMEND_TEST_MARIADB#*socket=}" amend -e "SELECT 40 + 2"
		psql -X -Atq "$AMEND_TEST_POSTGRES" -c "SELECT 1"' 2>&1)
	same "$out" "42
1" "--mariadb starts MariaDB as well"
	out=$(tools/servers run --mariadb -- sh -c '
		socket=${AMEND_TEST_MARIADB#*socket=}
		ask() { mariadb --no-defaults -N -B -u amend -S "$socket" amend -e "$1"; }
		ask "CREATE TABLE t (a integer); INSERT INTO t VALUES (7)"
		kill -KILL "$(cat "${socket%/*}/mariadb.pid")"
		tries=0
		until ask "SELECT a FROM t" 2>/dev/null || [ "$tries" -gt 600 ]; do
			tries=$((tries + 1))
			sleep 0.1
		done' 2>&1)
	same "$out" 7 "MariaDB comes again when it is killed, and has what was committed"
	no_folder
	ok $? "and leaves no folder of it"
fi

out=$(tools/servers run --standby -- sh -c '
	psql -X -Atq "$AMEND_TEST_STANDBY" -c "SELECT pg_is_in_recovery(), sync_state FROM pg_stat_replication"
	server=${AMEND_TEST_STANDBY#*host=}
	for n in 1 2; do sed 1q "${server%%,*}/node$n/postmaster.pid" >"$1/node$n"; done
	$AMEND_TEST_STANDBY_NODE 1 kill' sh "$scratch" 2>&1)
same "$out" "f|sync" "--standby starts a primary and its synchronous standby"
dead "$(cat "$scratch/node1")" 2>/dev/null && dead "$(cat "$scratch/node2")" 2>/dev/null && no_folder
ok $? "and leaves neither, nor a folder"

out=$(PGHOST=/nowhere PGPORT=1 PGOPTIONS=--nonsense=1 tools/servers run -- \
	sh -c 'psql -X -Atq "$AMEND_TEST_POSTGRES" -c "SELECT 1"' 2>&1)
same "$out" 1 "the caller's own PG* settings do not reach in"

out=$(echo hello | tools/servers run -- cat)
same "$out" hello "standard input reaches the command"

tools/servers run -- "$scratch/no-such-command" 2>/dev/null
same $? 127 "a command that is not there"

# --- ended from outside
for case in INT:130 TERM:143 HUP:129; do
	signal=${case%:*}
	start "$signal to the group"
	kill -s "$signal" -- "-$group"
	wait "$group"
	same $? "${case#*:}" "$signal to the group: tools/servers dies of it"
	soon dead "$(cat "$scratch/command")"
	ok $? "$signal to the group: the command is gone"
	nothing_left "$signal to the group"
done

# The command may handle a Ctrl-C as itself likes: it is not deaf to it.
rm -f "$scratch/running"
env --default-signal=INT setsid tools/servers run -- sh -c '
	trap "" TERM
	trap "echo heard >\"$1/interrupted\"; exit" INT
	: >"$1/running"
	while :; do sleep 0.1; done' sh "$scratch" &
group=$!
soon test -e "$scratch/running"
kill -s INT -- "-$group"
wait "$group"
test -e "$scratch/interrupted"
ok $? "INT to the group: the command hears it as INT"

start "TERM to tools/servers alone"
kill -s TERM "$group"
wait "$group"
soon dead "$(cat "$scratch/command")"
ok $? "TERM to tools/servers alone: the command is gone"
nothing_left "TERM to tools/servers alone"

start "kill -9"
kill -KILL "$group"
wait "$group" 2>/dev/null
soon dead "$(cat "$scratch/command")"
ok $? "kill -9: the command is gone"
nothing_left "kill -9"

# --- while it is still starting
env --default-signal=INT setsid tools/servers run -- touch "$scratch/too-far" &
group=$!
soon starting
ok $? "kill -9 while starting: it is starting"
kill -KILL "$group"
wait "$group" 2>/dev/null
soon no_folder
ok $? "kill -9 while starting: the folder is gone"
test ! -e "$scratch/too-far"
ok $? "kill -9 while starting: the command was never run"

# --- what cannot be started
mkdir -m 755 "$scratch/bin"
printf '#!/bin/sh\necho "no space left for a test" >&2\nexit 1\n' >"$scratch/bin/initdb"
chmod 755 "$scratch/bin/initdb"
out=$(AMEND_TEST_POSTGRES_BIN=$scratch/bin tools/servers run -- touch "$scratch/too-far" 2>&1)
same $? 1 "a server that does not start is a failure"
same "$out" "no space left for a test
tools/servers: PostgreSQL could not be started by $scratch/bin (its last words stand above)" \
	"it is said in a line, after the server's log"
no_folder
ok $? "a server that does not start leaves no folder"
test ! -e "$scratch/too-far"
ok $? "without a server the command is not run"

tools/servers run -- >/dev/null 2>&1
same $? 2 "no command is wrong usage"

echo "1..$number"
exit $failed
