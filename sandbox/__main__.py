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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from forwardtrader.core.errors import InvalidSetting, TradingError
from forwardtrader.sandbox.faults.catalogue import read_faults
from forwardtrader.sandbox.orders.settings import FASTEST, SandboxSettings
from forwardtrader.sandbox.transport.request_log import LogEntries, RequestLog

_CHECK_PARENT_S: Final = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    try:
        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            runner.run(serve(read_settings(argv)))
    except TradingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 0
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
    print(json.dumps(server.described()), flush=True)
    while not stopped.is_set() and not server.parent.is_gone():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _CHECK_PARENT_S)
    await server.stop()


def watch_errors(log: RequestLog) -> None:
    """Copy errors into the request log, and to stderr if it is a terminal; a pipe that nobody reads would block."""
    root = logging.getLogger()
    root.addHandler(LogEntries(log))
    if sys.stderr.isatty():
        root.addHandler(logging.StreamHandler())


def read_settings(argv: Sequence[str] | None) -> SandboxSettings:
    """Parse the command line into settings.

    Raises:
        InvalidSetting: a value outside its range; the message names the flag.
    """
    given = {name: value for name, value in vars(_parser().parse_args(argv)).items() if value is not None}
    tree = _settings(given.pop("settings", "{}"))
    if "balance" in given:
        tree["balances"] = dict(_split(entry, "--balance") for entry in given.pop("balance"))
    if "faults" in given:
        given["faults"] = read_faults(Path(given["faults"]))
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


def _split(entry: str, flag: str) -> tuple[str, str]:
    name, sign, value = entry.partition("=")
    if not sign or not name or not value:
        raise InvalidSetting(f"{flag} {entry!r}: write it as NAME=VALUE")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A practice exchange on this machine: no keys, no network, no risk."
    )
    parser.add_argument("--protocol", choices=("binance", "bybit"), help="whose API it speaks (binance)")
    parser.add_argument("--port", type=int, help="0 for any free one (0)")
    parser.add_argument("--symbol", dest="symbols", action="append", help="BASE/QUOTE, repeatable (BTC/USDT)")
    parser.add_argument("--market", action="append", help="sample, a candle file, or SYMBOL=FILE, repeatable (sample)")
    parser.add_argument("--timeframe", help="length of a bar (1m)")
    parser.add_argument("--speed", help="times real time, or lockstep: the next bar comes when asked for (1)")
    parser.add_argument("--history", type=int, help="bars that lie in the past at the start (500)")
    parser.add_argument("--bars", type=int, help="the market ends after so many bars (never)")
    parser.add_argument("--rebase", action="store_true", default=None, help="move a file's times so that its history ends now")
    parser.add_argument("--fills", choices=("bar", "book"), help="bar: as a backtest fills; book: spread, depth, partial fills (bar)")
    parser.add_argument("--fee-asset", help="received, quote, or a coin such as BNB (received)")
    parser.add_argument("--balance", action="append", help="ASSET=AMOUNT, repeatable (USDT=10000)")
    parser.add_argument("--limits", choices=("auto", "on", "off"), help="whether rate limits are enforced (auto: at real time)")
    parser.add_argument(
        "--withdrawals", choices=("no", "yes", "unanswered"), help="what it says when asked whether the key may withdraw (no)"
    )
    parser.add_argument("--faults", help="a file of fault switches, YAML or JSON")
    parser.add_argument("--seed", type=int, help="of the sample market and of random faults (0)")
    parser.add_argument("--settings", help="any other settings as one JSON object")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
