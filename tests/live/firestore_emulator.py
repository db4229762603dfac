"""A Firestore emulator on loopback: Google's own where the Cloud SDK has it, else the one that `make emulator` installs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests import PATIENCE_S, ROOT

JARS = ("cloud-firestore-emulator/cloud-firestore-emulator.jar",)
SDKS = ("/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk", "/opt/google-cloud-sdk", "~/google-cloud-sdk")
MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
NODE = ROOT / "var" / "emulator"
SERVE = "const {{FirestoreServer}} = require('@firestore-emulator/server'); new FirestoreServer().start({port})"


class Emulator:
    """Started and stopped at will, always on the same port; forgets everything when it stops."""

    def __init__(self, port: int, words: list[str]) -> None:
        self.port, self._words = port, words
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_googles(self) -> bool:
        return self._words[0].endswith("java")

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

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


def emulator_here() -> Emulator:
    """One that is not started yet; skips the test where there is none on this machine."""
    port = free_port()
    java, node = shutil.which("java"), shutil.which("node")
    sdks = [os.environ.get("CLOUDSDK_ROOT", "-"), *SDKS]
    jars = [path for sdk in sdks for jar in JARS if (path := Path(sdk).expanduser() / "platform" / jar).is_file()]
    if java and jars:
        return Emulator(port, [java, "-cp", str(jars[0]), MAIN, "start", "--host=127.0.0.1", f"--port={port}"])
    if node and (NODE / "node_modules" / "@firestore-emulator").is_dir():
        return Emulator(port, [node, "-e", SERVE.format(port=port)])
    pytest.skip("no Firestore emulator here; `make emulator` installs one")
