# The everyday words. Meson does the work; this only says it shorter.

BUILD ?= build
MESON_FLAGS ?=
# Arguments of `meson test`, as in: make test TESTS='--suite unit'
TESTS ?=
# Tests wait a good deal: for locks, leases, servers.
export MESON_TESTTHREADS ?= $(shell expr $$(nproc) '*' 3 / 2)

# Warnings are errors in continuous integration only.
ifeq ($(CI),true)
MESON_FLAGS += -Dwerror=true
endif

.PHONY: all build run test cluster check bench fuzz soak coverage format install clean

all: build

build:
	@tools/deps run
	@test -f $(BUILD)/build.ninja || meson setup $(MESON_FLAGS) $(BUILD)
	@ninja -C $(BUILD)

# A first look: two snapshots of real data, local edits, and what a sync does with them.
# Only the command is built, and only what goes wrong in building it is shown.
run:
	@tools/deps run
	@test -f $(BUILD)/build.ninja || meson setup $(MESON_FLAGS) $(BUILD) >/dev/null || \
		meson setup $(MESON_FLAGS) $(BUILD)
	@ninja --quiet -C $(BUILD) amend
	@examples/run.sh

# A build folder made before the tests' own packages were there is told to look again.
test:
	@tools/deps test
	@test -f $(BUILD)/build.ninja || meson setup $(MESON_FLAGS) -Dtests=enabled $(BUILD)
	@meson introspect --buildoptions $(BUILD) | tr '{' '\n' | \
		grep -q '"name": "tests", "value": "enabled"' || meson configure -Dtests=enabled $(BUILD)
	@ninja -C $(BUILD)
	tools/servers run --mariadb -- meson test -C $(BUILD) --no-rebuild --print-errorlogs $(TESTS)

# Several servers on this machine: three nodes of Galera (docs/decisions/0032-galera.md), a primary and its standby under load
# (0035-standby.md). Not part of `make test`.
cluster:
	@tools/deps test
	@test -f $(BUILD)/build.ninja || meson setup $(MESON_FLAGS) -Dtests=enabled $(BUILD)
	@ninja -C $(BUILD)
	meson test -C $(BUILD) --no-rebuild --setup cluster --suite cluster --print-errorlogs

check: build
	@tools/check $(BUILD)

# What docs/performance.md claims, measured here; a selection as in: make bench BENCH='--only A --engine sqlite'
BENCH ?=
bench:
	@tools/deps bench
	@test -f $(BUILD)/build.ninja || meson setup $(MESON_FLAGS) $(BUILD)
	@ninja --quiet -C $(BUILD) amend bench/contender
	tools/servers run --durable --mariadb -- python3 bench/bench.py --build $(BUILD) $(BENCH)

# Looks for inputs that break a parser, SECONDS for each target; the corpora are replayed by `make test`.
SECONDS ?= 60
fuzz:
	@tools/deps ci
	@test -f build-fuzz/build.ninja || CC=clang meson setup -Dfuzz=true -Dtests=enabled \
		-Db_sanitize=address,undefined -Db_lundef=false build-fuzz
	@ninja -C build-fuzz
	@for target in build-fuzz/tests/fuzz/fuzz_*; do \
		test -x "$$target" && test -f "$$target" || continue; \
		name=$${target##*fuzz_}; mkdir -p build-fuzz/found_$$name; \
		"$$target" -max_total_time=$(SECONDS) build-fuzz/found_$$name tests/fuzz/corpus_$$name || exit 1; \
	done

# The rig for MINUTES an engine, with seeds of its own; ENGINE=postgresql is one alone.
MINUTES ?= 30
ENGINE ?=
soak:
	@tools/deps test
	@test -f $(BUILD)/build.ninja || meson setup $(MESON_FLAGS) -Dtests=enabled $(BUILD)
	@ninja --quiet -C $(BUILD) amend tests/rig/worker tests/rig/fault.so
	tools/servers run --mariadb -- python3 tests/rig/soak.py --build $(BUILD) --minutes $(MINUTES) \
		$(addprefix --engine ,$(ENGINE)) --figures $(BUILD)/soak.json

# Which branches of the layers below sync the tests take: a line a file, and pages in build-coverage/report. It fails
# below so many in a hundred, not where a test fails: cases of the command in which nothing may be written do, for libgcov
# complains there.
COVERAGE_FLOOR = 80
coverage:
	@tools/deps coverage
	@test -f build-coverage/build.ninja || meson setup -Db_coverage=true -Doptimization=0 -Dtests=enabled -Dman=disabled build-coverage
	@ninja --quiet -C build-coverage
	@find build-coverage -name '*.gcda' -delete
	-AMEND_TEST_STEP=7 tools/servers run --mariadb -- \
		meson test -C build-coverage --no-rebuild --timeout-multiplier 4 --no-suite rig $(TESTS)
	@mkdir -p build-coverage/report
	gcovr --root . --filter 'src/(core|sql|ledger|record)/' --branches --exclude-throw-branches \
		--fail-under-branch $(COVERAGE_FLOOR) \
		--html-details build-coverage/report/index.html --txt build-coverage/report/branches.txt build-coverage; \
	failed=$$?; cat build-coverage/report/branches.txt; exit $$failed

format:
	@tools/format

install: build
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf build build-*
