"""What every test may rely on, and the order of the files."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import settings

from tests.preloaded import preloaded
from tests.processes import end_all

settings.register_profile("any machine", settings(), deadline=None)  # what an example takes says how busy the machine is
settings.load_profile("any machine")

# Where files are dealt out to workers, a long one that comes last is waited for by all; and one that uses every core goes well beside one
# that mostly waits for a market's clock. Only time depends on this list.
_FIRST: Final = (
    "live/retraining/test_supply.py",
    "live/test_session_hangs.py",
    "end_to_end/test_backtest_command.py",
    "live/test_other_venues.py",
    "live/session/test_session.py",
    "end_to_end/test_sweep_command.py",
    "live/test_session_stops.py",
    "backtest/audit/test_strategy_proofs.py",
    "live/test_bad_input.py",
    "end_to_end/test_trials.py",
    "live/test_session_live.py",
    "live/output/test_refresh.py",
    "live/test_session_kills.py",
    "live/test_session_halts.py",
    "end_to_end/test_secrets.py",
    "backtest/test_shifted_runs.py",
    "live/bridge/test_recovery.py",
    "live/bridge/test_contingent_orders.py",
    "live/bridge/test_venue_thread.py",
    "feeds/history/test_download.py",
    "reports/pages/test_tearsheet.py",
    "live/bridge/test_broker.py",
    "live/bridge/test_data.py",
    "live/test_fault_requests.py",
    "strategies/test_replay.py",
    "strategies/test_community.py",
    "reports/statistics/test_random_entries.py",
    "models/folds/test_warm_start.py",
    "models/features/test_incremental_factors.py",
    "models/forecasters/test_xla.py",
    "models/folds/test_walk.py",
    "simulation/test_simulation.py",
)


def pytest_configure() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, and so would every command that a test starts and interrupts."""
    os.environ["XDG_STATE_HOME"] = _folder("state-")  # locks of accounts, which all projects of a user share
    _share_compiled_code()
    os.environ["FORWARDTRADER_PROJECT"] = "."  # a command that a test runs works in the folder it is run in, not in this checkout
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _share_compiled_code() -> None:
    """One folder for what XLA compiles, of all workers and what they start: to compile takes longer than to train what is small."""
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = _folder("compiled-")
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(1 << 32)  # with a limit, jax locks the folder while it reads or writes
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"


def _folder(prefix: str) -> str:
    """A folder that goes when this process ends."""
    folder = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@pytest.fixture(autouse=True, scope="session")
def quick_processes() -> Iterator[None]:
    """Processes of our own that tests start are forked from one that has imported all of it."""
    with preloaded():
        yield


@pytest.fixture(autouse=True)
def processes_as_ever(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where the test is about how a process starts, it starts as a user's does."""
    if not request.node.get_closest_marker("executes"):
        yield
        return
    with preloaded(forks=False):
        yield


@pytest.fixture(autouse=True)
def processes_end() -> Iterator[None]:
    """What a test began is over with the test, so that one failure stays one."""
    yield
    end_all()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, the others as they come."""
    items.sort(key=lambda item: next((place for place, name in enumerate(_FIRST) if str(item.path).endswith(name)), len(_FIRST)))
