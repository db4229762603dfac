"""`python -m sandbox`: start the practice exchange; its first line on stdout is one JSON object."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import math
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from pydantic import ValidationError

from forwardtrader.core.command.project import typed_path
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.sandbox.faults.catalogue import read_faults
from forwardtrader.sandbox.orders.settings import FASTEST, SandboxSettings
from forwardtrader.sandbox.transport.request_log import LogEntries, RequestLog

_CHECK_PARENT_S: Final = 1.0


def serve_until_stopped(given: argparse.Namespace) -> int:
    """The practice exchange as a command.

    Raises:
        InvalidSetting: a flag has a value outside its range.
    """
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(serve(settings_of(given)))
    return 0


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop if it is installed: a third more orders a second."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def serve(settings: SandboxSettings) -> None:
    """Serve until SIGTERM or SIGINT, or until the parent process is gone."""
    from forwardtrader.sandbox.server import SandboxServer

    server = SandboxServer(settings)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start()
    watch_errors(server.log)
    sys.stdout.write(json.dumps(server.described()) + "\n")
    sys.stdout.flush()
    while not stopped.is_set() and not server.parent.is_gone() and server.exchange.failure is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _CHECK_PARENT_S)
    await server.stop()
    if server.exchange.failure is not None:
        raise server.exchange.failure


def watch_errors(log: RequestLog) -> None:
    """Copy errors into the request log, and to stderr if it is a terminal; a pipe that nobody reads would block."""
    root = logging.getLogger()
    root.addHandler(LogEntries(log))
    if sys.stderr.isatty():
        root.addHandler(logging.StreamHandler())


def settings_of(parsed: argparse.Namespace) -> SandboxSettings:
    """Settings from flags.

    Raises:
        InvalidSetting: a value outside its range; the message names the flag.
    """
    given = {name: value for name, value in vars(parsed).items() if value is not None and name not in ("project", "typed")}
    tree = _settings(given.pop("settings", "{}"))
    if "balance" in given:
        tree["balances"] = dict(_split(entry, "--balance") for entry in given.pop("balance"))
    if "market" in given:
        given["market"] = [_market(entry) for entry in given["market"]]
    if "faults" in given:
        given["faults"] = read_faults(typed_path(given["faults"]))
    if "state" in given:
        given["state"] = str(typed_path(given["state"]))
    if given.get("speed") not in (None, "lockstep"):
        given["speed"] = _number(given["speed"])
    try:
        return SandboxSettings.model_validate(tree | given)
    except ValidationError as error:
        first = error.errors()[0]
        flag = ".".join(str(part) for part in first["loc"])
        raise InvalidSetting(f"--{flag.replace('_', '-')}: {first['msg']}, not {first['input']!r}") from error


def _number(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed <= FASTEST:
        raise InvalidSetting(f"--speed {text!r}: give a number above 0 and up to {FASTEST}, or lockstep")
    return speed


def _settings(text: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidSetting(f"--settings is not JSON: {error.msg} at character {error.pos}") from error
    if not isinstance(tree, dict):
        raise InvalidSetting("--settings must be one JSON object")
    return tree


def _market(entry: str) -> str:
    """`sample`, FILE or SYMBOL=FILE, the file as seen from the project."""
    symbol, sign, file = entry.rpartition("=")
    return entry if file == "sample" else f"{symbol}{sign}{typed_path(file)}"


def _split(entry: str, flag: str) -> tuple[str, str]:
    name, sign, value = entry.partition("=")
    if not sign or not name or not value:
        raise InvalidSetting(f"{flag} {entry!r}: write it as NAME=VALUE")
    return name, value
