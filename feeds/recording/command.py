"""`forwardtrader download --live`: records what a venue and the sources of factors say, until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.config import load_settings, parse_assignment
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.fetching.opened import collectors
from forwardtrader.feeds.fetching.poller import FactorPoller
from forwardtrader.feeds.flags import download_parser
from forwardtrader.feeds.history.download import download
from forwardtrader.feeds.live.client import open_client
from forwardtrader.feeds.recording.recorder import Recorder
from forwardtrader.feeds.venues.contracts import refuse_unusual, require_one_account, settle_currency
from forwardtrader.feeds.venues.port import stored_under

_REACH: Final = timedelta(days=30)  # of factors whose record is empty


def main(argv: Sequence[str] | None = None) -> int:
    """`forwardtrader download`: history into the store, or with `--live` what comes from now on into files."""
    return run(download_parser(), argv, download_any)


def download_any(given: argparse.Namespace) -> int:
    """As `main`, once the flags are read. Raises as `download`, and `StorageFull`."""
    if not given.live:
        for symbol in given.symbols or [given.symbol]:
            given.symbol = symbol
            download(given)
        return 0
    named = {"feeds.timeframe": given.timeframe or "1m", "feeds.exchange": given.exchange}
    overrides = {key: value for key, value in named.items() if value} | dict(map(parse_assignment, given.assignments))
    feeds = load_settings(given.config and typed_path(given.config), overrides=overrides).feeds
    symbols = tuple(dict.fromkeys([*given.symbols, *([given.symbol] if given.symbol else [])])) or feeds.symbols
    for symbol in symbols:
        refuse_unusual(symbol)
    require_one_account(symbols)
    with suppress(asyncio.CancelledError):
        asyncio.run(record(feeds.model_copy(update={"symbols": symbols})))
    return 0


async def record(feeds: FeedSettings) -> None:
    """Record the symbols and factors of the settings until cancelled, or until SIGINT or SIGTERM.

    Raises:
        UnknownSymbol, UnknownTimeframe, UnknownVenue, InvalidSetting: there is no such thing.
        VenueUnreachable, VenueRefused: the venue does not answer at the start. StorageFull: the disk is full.
    """
    clock, name = SystemClock(), stored_under(feeds.exchange, feeds.exchange_url)
    poller = FactorPoller(collectors(feeds, clock), _REACH)
    client = open_client(
        feeds.exchange, linear=bool(settle_currency(feeds.symbols[0])), base_url=feeds.exchange_url, timeout_s=feeds.request_timeout_s
    )
    folder = Path(feeds.record_path) / name
    recorder = Recorder(
        client, feeds.symbols, Timeframe.parse(feeds.timeframe), folder, clock=clock, most_bytes=feeds.record_mb * 1_000_000
    )
    work = asyncio.current_task()
    assert work is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        await recorder.connect()
        await asyncio.to_thread(poller.first, 0.0)
        sys.stdout.write(f"recording {', '.join(feeds.symbols)} of {name} into {folder}; Ctrl-C ends it\n")
        sys.stdout.flush()
        await recorder.run()
    finally:
        await asyncio.to_thread(poller.stop)
        await client.close()
