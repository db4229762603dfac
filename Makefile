PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python
READY  := $(VENV)/.ready

.PHONY: backtest test lint types bench soak simulate simulate-defects emulator paper clean

backtest: $(READY)
	$(RUN) run_backtest.py --from 2022-01-01

test: $(READY) lint types
	$(RUN) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy

bench: $(READY)
	$(RUN) -m pip install -q -e ".[bench,cluster]"
	for name in train backtest loop latency sandbox scale; do $(RUN) -m benchmarks.$$name || exit 1; done

soak: $(READY)
	$(RUN) -m pip install -q -e ".[soak,cluster]"
	$(RUN) -m pytest -q -m slow

# Random worlds that try to break the trading process; SEED=n replays one, SEEDS=n says how many.
SEEDS ?= 10000
simulate: $(READY)
	$(RUN) -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

# Takes each safety rule away in turn; the simulation must find it.
simulate-defects: $(READY)
	$(RUN) -m tests.simulation --defects

# The mirror against a Firestore emulator: Google's own where the Cloud SDK has it (needs java), else this one (needs node).
emulator: $(READY)
	npm install --silent --no-audit --no-fund --prefix var/emulator @firestore-emulator/server
	$(RUN) -m pytest -q -m slow tests/live/output/test_firestore.py

paper: $(READY)
	$(RUN) run_live.py --paper --sandbox

# The environment is made anew when the dependencies change.
$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q --upgrade pip
	$(RUN) -m pip install -q -e ".[test,live,firestore]"
	touch $(READY)

clean:
	rm -rf $(VENV) var reports/output build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
