"""A Firestore emulator on loopback: Google's own where the Cloud SDK has it, else the one that `make emulator` installs."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from forwardtrader.core.errors import VenueUnreachable
from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.live.output.state_store import Event
from tests import PATIENCE_S, ROOT

JARS = ("cloud-firestore-emulator/cloud-firestore-emulator.jar",)
SDKS = ("/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk", "/opt/google-cloud-sdk", "~/google-cloud-sdk")
MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
NODE = ROOT / "var" / "emulator"
SERVE = "const {{FirestoreServer}} = require('@firestore-emulator/server'); new FirestoreServer().start({port})"
_NUMBERS = itertools.count()


class Emulator:
    """Started and stopped at will, always on the same port; forgets everything when it stops."""

    def __init__(self, port: int, words: list[str]) -> None:
        self.port, self._words = port, words
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_googles(self) -> bool:
        return self._words[0].endswith("java")

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        self._process = subprocess.Popen(self._words, cwd=NODE if NODE.is_dir() else ROOT, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)  # fmt: skip
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("the emulator does not start")

    @contextmanager
    def hung(self) -> Iterator[None]:
        """While the block runs it takes what is sent to it, and answers nothing; it goes on with all of it afterwards."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def wipe(self, project: str) -> None:
        """Delete every document of a project."""
        address = f"http://127.0.0.1:{self.port}/emulator/v1/projects/{project}/databases/(default)/documents"
        with urlopen(Request(address, method="DELETE"), timeout=30):
            pass

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def new_project() -> str:
    """One that no other test of this process uses, and that is empty."""
    return f"practice-{next(_NUMBERS)}"


def awake(project: str = "") -> FirestoreMirror:
    """A mirror, once the emulator behind it answers: a fresh one takes its time over the first requests.

    Args:
        project: of which the client keeps its way to one emulator.
    """
    known = project or f"warm-up-{os.environ['FIRESTORE_EMULATOR_HOST'].rpartition(':')[2]}"
    mirror, until = FirestoreMirror(known), time.monotonic() + PATIENCE_S
    while True:
        try:
            mirror.put([Event(1, "warm/up", {})])
            return mirror
        except VenueUnreachable:
            assert time.monotonic() < until, "the emulator does not answer"


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


def emulator_here(*more: str) -> Emulator:
    """One that is not started yet; skips the test where there is none on this machine.

    Args:
        more: words for Google's own, without which the other one does.
    """
    port = free_port()
    java, node = shutil.which("java"), shutil.which("node")
    sdks = [os.environ.get("CLOUDSDK_ROOT", "-"), *SDKS]
    jars = [path for sdk in sdks for jar in JARS if (path := Path(sdk).expanduser() / "platform" / jar).is_file()]
    if java and jars:
        return Emulator(port, [java, "-cp", str(jars[0]), MAIN, "start", "--host=127.0.0.1", f"--port={port}", *more])
    if node and (NODE / "node_modules" / "@firestore-emulator").is_dir():
        return Emulator(port, [node, "-e", SERVE.format(port=port)])
    pytest.skip("no Firestore emulator here; `make emulator` installs one")


@contextmanager
def deaf() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    server, held = socket.create_server(("127.0.0.1", free_port())), []

    def hear() -> None:
        while True:
            try:
                held.append(server.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=hear)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()
    for connection in held:
        connection.close()


@contextmanager
def slow_way(port: int, delay_s: float) -> Iterator[int]:
    """A port on which everything that is sent comes to another one, and its answers back, with a delay on the way there."""
    way = _SlowWay(port, delay_s)
    thread = threading.Thread(target=way.run)
    thread.start()
    way.ready.wait(PATIENCE_S)
    try:
        yield way.listens_on
    finally:
        way.stop()
        thread.join()


class _SlowWay:
    def __init__(self, port: int, delay_s: float) -> None:
        self._port, self._delay_s = port, delay_s
        self.ready = threading.Event()
        self.listens_on = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []

    def run(self) -> None:
        asyncio.run(self._serve())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        self.listens_on = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self._over.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self._ends:  # what was to be closed after the delay has no loop any more that would do it
            end.transport.abort()
        await asyncio.sleep(0)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends += [writer, back]
        ways = [asyncio.create_task(self._carry(reader, back, self._delay_s)), asyncio.create_task(self._carry(there, writer, 0.0))]
        self._tasks.update(ways)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, delay_s: float) -> None:
        """Each piece goes on after the delay, in order, and pieces do not wait for each other's."""
        try:
            while piece := await source.read(65_536):
                self._loop.call_later(delay_s, target.write, piece)
        except OSError:
            pass
        finally:
            self._loop.call_later(delay_s, target.close)
