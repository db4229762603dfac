"""The command: what it refuses, what it prints, and that it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import urllib.request
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.serve import command
from forwardtrader.serve.access import TOKEN_FILE
from forwardtrader.serve.command import bound, main, require_address
from tests import PATIENCE_S
from tests.processes import begin


def test_other_machines_are_let_in_only_where_that_was_said() -> None:
    assert [require_address(host, beyond=False) for host in ("127.0.0.1", "localhost", "::1", "127.8.9.1")] == [False] * 4
    for host in ("0.0.0.0", "192.168.1.20", "::"):
        assert require_address(host, beyond=True)
        with pytest.raises(ConfigError, match="--beyond-this-machine"):
            require_address(host, beyond=False)
    with pytest.raises(ConfigError, match="in numbers"):
        require_address("my-machine", beyond=True)


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    with bound("127.0.0.1", 0) as held:
        assert main(["--port", str(held.getsockname()[1])]) == 2
    assert re.fullmatch(r"port \d+ of 127\.0\.0\.1 cannot be had \(Address already in use\); [^\n]+--port\n", capsys.readouterr().err)
    assert main(["--port", "70000"]) == 2
    assert "ports go up to 65535" in capsys.readouterr().err


def test_without_the_packages_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(name: str) -> ModuleSpec | None:
        return None if name in ("starlette", "uvicorn") else ModuleSpec(name, None)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.importlib.util, "find_spec", found)
    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("the page needs starlette and uvicorn; run `pip install 'forwardtrader[serve]'`") and said.count("\n") == 1


def test_it_prints_one_address_that_lets_a_browser_in_and_ends_when_told(tmp_path: Path) -> None:
    process = begin([sys.executable, "-m", "forwardtrader", "serve", "--port", "0", "--project", str(tmp_path)])
    assert process.stdout is not None
    address = re.fullmatch(r"forwardtrader serves at (http://127\.0\.0\.1:(\d+))/\?token=(\S+)\n", process.stdout.readline())
    assert address is not None
    assert (tmp_path / TOKEN_FILE).read_text().strip() == address[3]
    with urllib.request.urlopen(f"{address[1]}/static/serve.js", timeout=PATIENCE_S) as answer:
        assert answer.status == 200
    with socket.create_connection(("127.0.0.1", int(address[2])), timeout=PATIENCE_S) as left_open:
        left_open.sendall(b"GET /runs HTTP/1.1\r\n")
        os.kill(process.pid, signal.SIGINT)
        said, complaints = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, complaints) == (0, f"project {tmp_path}\n")
    assert said.endswith("stopped; sessions and backtests go on\n") and address[3] not in said
    assert address[3] not in (tmp_path / "var" / "log.jsonl").read_text()
