#!/bin/sh
# What `make run` shows: two lists of real data, local edits, and what a sync does with them. Each
# command is printed, then run; where a step does not do what it claims, this fails.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
amend=$build/amend
db=$build/app.db
export LC_ALL=C.UTF-8
unset AMEND_AS AMEND_KEY_FILE

[ -x "$amend" ] || { echo "examples/run.sh: there is no $amend (hint: make)" >&2; exit 1; }
rm -f "$db" "$db"-*
said=$(mktemp) || exit 1
trap 'rm -f "$said"' EXIT

bold='' faint='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$(printf '\033[1m') faint=$(printf '\033[2m') plain=$(printf '\033[0m')
fi

say() {
	printf '\n'
	printf "$faint# %s$plain\n" "$@"
}

# Shows a command, runs it, shows what it says; it must end with this status and say these words.
show() { # STATUS COMMAND [WORD...]
	expected=$1 command=$2
	shift 2
	printf '%s$ %s%s\n' "$bold" "$command" "$plain"
	eval "$command" >"$said" 2>&1
	status=$?
	cat "$said"
	if [ "$status" -ne "$expected" ]; then
		echo "examples/run.sh: expected exit status $expected, found $status" >&2
		exit 1
	fi
	for word in "$@"; do
		grep -qF -- "$word" "$said" || {
			echo "examples/run.sh: expected it to say: $word" >&2
			exit 1
		}
	done
}

say 'The countries of the world as the standard had them in 2017, into a fresh database.'
show 0 "$amend sync examples/iso3166-2017.csv $db country --match alpha2 --create-table" \
	'249 created'

say 'Two people edit the table. Who, when, why, from what: recorded with the change.'
show 0 "$amend set $db country alpha2=SZ name=eSwatini --as anna --because 'renamed in April 2018'" \
	updated 'Swaziland -> eSwatini'
show 0 "$amend set $db country alpha2=GB name='United Kingdom' --as ben --because 'fits the menu'" \
	updated

say 'The list of 2022 has new names for three countries, one of them the one that anna renamed.' \
	'Who imports it the usual way overwrites both edits. Here:'
show 3 "$amend sync examples/iso3166-2022.csv $db country --match alpha2" \
	'2 updated' '1 kept' '1 conflict'

say "ben's short name stayed. Where both sides changed the same field, somebody decides."
show 0 "$amend conflicts $db" Swaziland eSwatini Eswatini
show 0 "$amend resolve $db 1 --take incoming --as anna --because 'the spelling of the standard'" \
	'eSwatini -> Eswatini'

say 'A form is opened, and holds a token of what it shows. Then somebody else saves.'
show 0 "token=\$($amend get $db country alpha2=TR | sed -n 's/^version: //p')"
show 0 "$amend set $db country alpha2=TR name='Türkiye (Turkey)' --as ben --because 'so that it is found'" \
	updated

say 'The form is saved: refused, with all there is to know. (Exit status 3.)'
show 3 "$amend set $db country alpha2=TR name=Turkiye --if-version \"\$token\"" \
	stale base current incoming 'changed by ben'

say 'What happened to one record, and why.'
show 0 "$amend log $db country alpha2=SZ" \
	'Swaziland -> eSwatini' 'eSwatini -> Eswatini' 'renamed in April 2018'

say 'The same list once more: nothing to do, and nothing is written.'
show 0 "$amend sync examples/iso3166-2022.csv $db country --match alpha2" \
	'247 unchanged' '2 kept'

cat <<TXT

Now you:
  $amend get $db country alpha2=MK
  $amend set $db country alpha2=NL name=Netherlands --because 'shorter'
  $amend log $db country alpha2=NL
  $amend sync --help
TXT
