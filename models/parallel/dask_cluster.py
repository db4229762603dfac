"""Workers of a Dask cluster; the only file that imports Dask."""

from __future__ import annotations

import hashlib
import pickle
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from forwardtrader.core.errors import ClusterUnusable, ConfigError, InvalidSetting
from forwardtrader.core.user_code.shipment import Shipment
from forwardtrader.models.parallel.workers import ROUNDS, Item, Result, Shared

PATIENCE_S: Final = 30.0
CONNECT_S: Final = 5.0
POLL_S: Final = 0.02
# A result has so long to come once it is there; then its task runs again.
FETCH_S: Final = 20.0
# After so long without a result the cluster is asked whether it still has workers.
LISTEN_S: Final = 5.0
# What has to be the same on every worker for results to be the same.
PACKAGES: Final = ("jax", "numpy", "pandas")
ROOMS: Final = ("core", "feeds", "models", "strategies", "backtest")


@dataclass(frozen=True, eq=False)
class _Held:
    """What all tasks share, and the user's code that it may be made of: nothing is unpickled before that is there."""

    code: Shipment
    packed: bytes


_opened: Final[WeakKeyDictionary[_Held, Any]] = WeakKeyDictionary()
_OPENING: Final = threading.Lock()


def _packed(value: object) -> bytes:
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def _work(held: _Held, item: bytes) -> Any:
    """A task in a worker."""
    held.code.unpack()
    with _OPENING:
        if held not in _opened:
            _opened[held] = pickle.loads(held.packed)
    task, shared = _opened[held]
    return task(shared, pickle.loads(item))


class DaskCluster:
    """`Workers` behind a Dask scheduler.

    What tasks share is sent to every worker once, with the modules of the user's that are imported here. Tasks of a lost worker run again
    on the others; where none is left, the cluster is given `patience_s` seconds to get one.

    Raises (from `run`):
        ClusterUnusable: nobody answers at `address`, no worker is there or is left, or a worker has other code.
        InvalidSetting: `address` is none.
        ConfigError: Dask is not installed.
    """

    def __init__(self, address: str, *, patience_s: float = PATIENCE_S) -> None:
        self.address = address
        self.patience_s = patience_s

    def run(self, task: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        left = dict(enumerate(items))
        barren = 0
        while left:
            before = len(left)
            # Each round has a client of its own: one that gave up a result may not be fit to ask for the next.
            with self._connected() as client:
                self._greet(client)
                for n, result in self._round(client, task, shared, left):
                    del left[n]
                    yield n, result
            barren = 0 if len(left) < before else barren + 1
            if left and barren == ROUNDS:
                raise ClusterUnusable(f"{self.address}: its workers were lost {ROUNDS} times with the same work; see their logs")

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            from distributed import Client
        except ImportError as error:
            raise ConfigError("--cluster needs Dask: pip install 'forwardtrader[cluster]'") from error
        self._knock()
        try:
            client = Client(self.address, timeout=PATIENCE_S, set_as_default=False)
        except OSError as error:
            raise self._silent() from error
        try:
            yield client
        finally:
            client.close(timeout=CONNECT_S)

    def _knock(self) -> None:
        """See that somebody listens: a client of Dask that found nobody cannot be closed without noise."""
        from distributed.comm.addressing import get_address_host_port

        try:
            host, port = get_address_host_port(self.address, strict=True)
        except (ValueError, TypeError) as error:
            raise InvalidSetting(f"--cluster {self.address!r}: write it as tcp://HOST:PORT ({error})") from error
        try:
            socket.create_connection((host, port), timeout=CONNECT_S).close()
        except OSError as error:
            raise self._silent() from error

    def _silent(self) -> ClusterUnusable:
        return ClusterUnusable(f"no Dask scheduler answers at {self.address}; start one with `dask scheduler`, or leave --cluster out")

    def _greet(self, client: Any) -> None:
        """Wait for a worker, and see that all of them, and the scheduler, have our code; one that ends meanwhile does not count."""
        try:
            client.wait_for_workers(1, timeout=self.patience_s)
            answers = {self.address: client.run_on_scheduler(surroundings), **client.run(surroundings, on_error="return")}
        except ModuleNotFoundError as error:
            raise self._without_code(error) from error
        except (OSError, RuntimeError) as error:
            raise ClusterUnusable(f"{self.address} has no worker; start one with `dask worker {self.address}`") from error
        ours = surroundings()
        for worker, theirs in answers.items():
            if isinstance(theirs, ModuleNotFoundError):
                raise self._without_code(theirs)
            if isinstance(theirs, Exception):
                continue
            other = [f"{name} {value} (here {ours[name]})" for name, value in theirs.items() if value != ours[name]]
            if other:
                raise ClusterUnusable(f"{worker} differs from this machine in {', '.join(other)}; make them the same")

    def _without_code(self, error: ModuleNotFoundError) -> ClusterUnusable:
        return ClusterUnusable(
            f"scheduler or workers at {self.address} do not find {error.name}; start them in this project's folder with PYTHONPATH=."
        )

    def _round(self, client: Any, task: Callable[..., Any], shared: Any, left: dict[int, Any]) -> Iterator[tuple[int, Any]]:
        """Give out what is left; returns early, without an error, where workers were lost with what they held."""
        try:
            held = client.scatter([_Held(Shipment.of_this_process(), _packed((task, shared)))], broadcast=True, hash=False)[0]
        except (OSError, RuntimeError):
            return
        waiting = {client.submit(_work, held, _packed(item), pure=False): n for n, item in left.items()}
        last_result = time.monotonic()
        # Where the last copy of the shared part is lost, the scheduler drops the tasks that need it and does not report all of them.
        while waiting and client.status == "running" and held.status == "finished":
            done = [future for future in waiting if future.status != "pending"]
            for future in done:
                yield from self._fetched(waiting.pop(future), future)
            if done:
                last_result = time.monotonic()
                continue
            time.sleep(POLL_S)
            if time.monotonic() - last_result > LISTEN_S:
                self._greet(client)
                last_result = time.monotonic()

    def _fetched(self, n: int, future: Any) -> Iterator[tuple[int, Any]]:
        """A task's result, or nothing where it was lost with its worker.

        A result that is lost between "finished" and its fetching is waited for by Dask, for ever where it cannot be made again.
        """
        if future.status == "error":
            self._raise(future)
        if future.status != "finished":
            return
        try:
            result = future.result(timeout=FETCH_S)
        except (CancelledError, TimeoutError):
            return
        yield n, result

    def _raise(self, future: Any) -> None:
        from distributed import KilledWorker

        try:
            future.result()
        except KilledWorker as error:
            raise ClusterUnusable(f"{self.address}: one task ended every worker it ran on; give workers more memory") from error


def surroundings() -> dict[str, str]:
    """What decides the bits of a result: Python, packages and our code."""
    known = {name: metadata.version(name) for name in PACKAGES}
    root = Path(__file__).resolve().parents[2]
    code = hashlib.sha256()
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        code.update(path.read_bytes())
    return {"python": platform.python_version(), **known, "forwardtrader's code": code.hexdigest()[:16]}
