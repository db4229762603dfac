PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python
READY  := $(VENV)/.ready

.PHONY: backtest test lint types bench commands soak simulate simulate-defects simulate-faults emulator firestore-soak paper lock audit clean

backtest: $(READY)
	$(RUN) run_backtest.py --from 2022-01-01

# One process more than the two cores of a small machine, as many tests wait; what they start finds compiled modules.
test: export PYTHONDONTWRITEBYTECODE =
test: $(READY) lint types
	$(RUN) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy

bench: $(READY)
	$(RUN) -m pip install -q -e ".[bench,cluster]"
	for name in train backtest loop latency sandbox scale; do $(RUN) -m benchmarks.$$name || exit 1; done

# Every command of README and docs, typed as a reader types it, in a checkout of its own whose runs are short: half an hour on two busy cores.
commands: $(READY)
	$(RUN) -m pytest -q -m "slow or not slow" tests/reader tests/end_to_end/test_tutorial.py

# Whole sessions as processes: the slow tests, then one killed KILLS times; with KEEP=FILE a run that was stopped goes on where it was.
KILLS ?= 1000
soak: $(READY)
	$(RUN) -m pip install -q -e ".[soak,cluster]"
	$(RUN) -m pytest -q -m slow
	$(RUN) -m tests.soak --kills $(KILLS) $(if $(KEEP),--keep $(KEEP))

# Random worlds that try to break the trading process; SEED=n replays one, SEEDS=n says how many, KEEP=FILE goes on.
SEEDS ?= 10000
simulate: $(READY)
	$(RUN) -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) $(if $(KEEP),--keep $(KEEP)))

# Takes each safety rule away in turn; the simulation must find it.
simulate-defects: $(READY)
	$(RUN) -m tests.simulation --defects

# Strikes with each fault of the list alone, and prints how long it takes to recover.
simulate-faults: $(READY)
	$(RUN) -m tests.simulation --faults --seeds 3

# The mirror against a Firestore emulator: Google's own where the Cloud SDK has it (needs java), else this one (needs node).
emulator: $(READY)
	npm install --silent --no-audit --no-fund --prefix var/emulator @firestore-emulator/server
	$(RUN) -m pytest -q -m "slow or not slow" tests/live/output/test_firestore.py tests/live/output/test_firestore_rules.py \
		tests/live/mirror/test_identical_trading.py tests/live/preflight/test_takeover.py tests/live/test_takeover_kills.py

# A hundred thousand documents through restarts and kills: FIRESTORE_EVENTS and FIRESTORE_FAULTS make it shorter.
firestore-soak: $(READY)
	$(RUN) -m pytest -q -m slow tests/live/mirror/test_no_loss.py

paper: $(READY)
	$(RUN) run_live.py --paper --sandbox

# The environment is made anew when the dependencies change: what the lock names, each file compared with its hash before it is used.
# Where the lock has nothing for a platform, `make LOCK= ...` installs what setup.cfg allows, unchecked.
LOCK ?= requirements.lock
$(READY): setup.cfg pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(VENV)
ifeq ($(LOCK),)
	$(RUN) -m pip install -q -e ".[test,live,firestore]"
else
	awk '/^[^ #]/ { builds = /^setuptools==/ } builds' $(LOCK) > $(VENV)/build.txt
	$(RUN) -m pip install -q --require-hashes -r $(VENV)/build.txt
	$(RUN) -m pip install -q --require-hashes --no-build-isolation -r $(LOCK) \
		|| { echo "the lock does not fit this platform, or a file is not the one it names; make LOCK= installs without it"; exit 1; }
	$(RUN) -m pip install -q --no-deps --no-build-isolation -e .
endif
	touch $(READY)

# Writes the lock anew from setup.cfg: for every platform, what is pinned already kept; UPGRADE=--upgrade takes the newest of all.
lock:
	test -x var/lock/bin/uv || { $(PYTHON) -m venv var/lock && var/lock/bin/python -m pip install -q uv; }
	var/lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" \
		--default-index https://pypi.org/simple $(UPGRADE) --extra test --extra live --extra firestore setup.cfg -o requirements.lock

# Known vulnerabilities of what is locked; says so where their data cannot be had.
audit:
	.ci/audit

clean:
	rm -rf $(VENV) var reports/output build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
