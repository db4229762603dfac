"""The flags of `run_backtest.py`, read into a request."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from forwardtrader.backtest.dates import traded_span
from forwardtrader.backtest.flags import parser
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.clock import Clock
from forwardtrader.core.command.project import typed_object, typed_path
from forwardtrader.core.config import changed, load_settings, parse_assignment
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import FeedSettings, Settings
from forwardtrader.feeds.candles.store import CandleStore
from forwardtrader.feeds.factors.files import parse_factor
from forwardtrader.feeds.files.symbol import symbol_of_file
from forwardtrader.feeds.history.perpetual_facts import FactFiles
from forwardtrader.feeds.universe import members_between, parse_universe, read_universe
from forwardtrader.strategies.user_code.strategy_class import with_params

# Flags that are nothing but another name for a setting.
PLAIN: Final = {
    "timeframe": "feeds.timeframe",
    "detail": "feeds.detail",
    "exchange": "feeds.exchange",
    "source": "feeds.source",
    "date_format": "feeds.date_format",
    "tz": "feeds.file_zone",
    "stamped": "feeds.stamped",
    "cash": "strategies.cash",
    "fee_bps": "strategies.fee_bps",
    "slippage_bps": "strategies.slippage_bps",
    "train_window": "models.train_window",
    "retrain_every": "models.retrain_every",
    "seeds": "models.seeds",
    "seed": "models.seed",
    "jobs": "models.jobs",
    "cluster": "models.cluster",
}


def read_request(argv: list[str], clock: Clock) -> BacktestRequest:
    """The request that a command line stands for.

    Raises:
        ConfigError: as `request_of`.
    """
    return request_of(parser().parse_args(argv), argv, clock)


def request_of(given: argparse.Namespace, argv: Sequence[str], clock: Clock) -> BacktestRequest:
    """The request that flags stand for; `argv` is recorded as the command.

    Raises:
        ConfigError: a flag, a date or a setting is wrong; the message says how to fix it.
    """
    overrides: dict[str, Any] = {key: getattr(given, flag) for flag, key in PLAIN.items() if getattr(given, flag) is not None}
    if given.out is not None:
        overrides["reports.output"] = str(typed_path(given.out))
    files, named = named_files(given.data, given.symbol)
    if named:
        overrides["feeds.symbols"] = named
    if given.universe is not None:
        overrides["feeds.universe"] = given.universe if given.universe.startswith("top:") else str(typed_path(given.universe))
    if given.confirm:
        overrides["feeds.confirm_exchanges"] = given.confirm
    if given.resample:
        overrides["feeds.resample"] = given.resample
    if given.factor:
        overrides["feeds.factors"] = [parse_factor(text) for text in given.factor]
    if given.expanding:
        overrides["models.expanding"] = True
    if given.no_cache:
        overrides["models.cache"] = False
    if given.baselines is not None:
        overrides["models.baselines"] = [name.strip() for name in given.baselines.split(",") if name.strip()]
    if given.forecaster:
        traded, *others = [typed_object(spec) for spec in given.forecaster]
        overrides |= {"models.forecaster": traded, "models.compared": others}
    overrides |= dict(parse_assignment(text) for text in given.assignments)
    settings = load_settings(given.config and typed_path(given.config), overrides=overrides)
    first, last = traded_span(given.first, given.last, clock)
    if settings.feeds.universe:
        settings = changed(settings, {"feeds.symbols": _candidates(settings, named, first, last)})
    _check_symbols(settings)
    if given.importance and (given.sweep or given.optimise or given.audit):
        raise InvalidSetting("--importance belongs to a plain run; leave it out here, and give it to a run of the settings that are chosen")
    strategy = with_params(typed_object(given.strategy), given.param)
    return BacktestRequest(
        settings=settings, first=first, last=last, files=files, strategy=strategy, name=given.name,
        facts=fact_files(given.funding, given.mark, settings.feeds.symbols),
        detail=detail_files("detail-data", given.detail_data, settings.feeds),
        detail_marks=detail_files("detail-mark", given.detail_mark, settings.feeds),
        confirm=confirming_files(given.confirm_data, settings.feeds.symbols),
        command=shlex.join(["python", "run_backtest.py", *argv]), sweep=given.sweep and typed_path(given.sweep), audit=given.audit,
        open_page=given.open, as_json=given.json, quiet=given.quiet, open_ended=given.last is None,
        optimise=given.optimise and typed_path(given.optimise), importance=given.importance,
        progress=given.progress and typed_path(given.progress),
    )  # fmt: skip


def named_files(data: list[str], symbols: list[str] | None) -> tuple[dict[str, Path], list[str]]:
    """Candle files by symbol, and the symbols to trade: those of --symbol, or else those of --data."""
    named = list(symbols or [])
    files: dict[str, Path] = {}
    for text in data:
        symbol, sign, path = text.partition("=")
        if not sign:
            if len(data) > 1 or len(named) > 1:
                raise InvalidSetting(f"--data {text}: with several symbols write it as SYMBOL=FILE")
            symbol, path = (named[0] if named else symbol_of_file(Path(text).name)), text
        files[symbol] = typed_path(path)
    if files and not named:
        named = list(files)
    stray = [symbol for symbol in files if symbol not in named]
    if stray:
        raise InvalidSetting(f"--data names {stray[0]}, which is not among --symbol; add --symbol {stray[0]}")
    return files, named


def fact_files(funding: Sequence[str], mark: Sequence[str], symbols: Sequence[str]) -> dict[str, FactFiles]:
    """Files of funding and mark price by symbol.

    Raises:
        InvalidSetting: one is not written as SYMBOL=FILE, or names a symbol that is not traded.
    """
    found: dict[str, FactFiles] = {}
    for kind, texts in (("funding", funding), ("mark", mark)):
        for text in texts:
            symbol, path = _of_a_symbol(kind, text, symbols)
            found[symbol] = replace(found.get(symbol, FactFiles()), **{kind: typed_path(path)})
    return found


def detail_files(flag: str, texts: Sequence[str], feeds: FeedSettings) -> dict[str, Path]:
    """Files of finer candles, or of their marks, by symbol.

    Raises:
        InvalidSetting: one is not written as SYMBOL=FILE, names a symbol that is not traded, or its length is not said.
    """
    if texts and not feeds.detail:
        raise InvalidSetting(f"--{flag} {texts[0]}: say how long its bars are, with --detail 1m")
    return {symbol: typed_path(path) for symbol, path in (_of_a_symbol(flag, text, feeds.symbols) for text in texts)}


def confirming_files(texts: Sequence[str], symbols: Sequence[str]) -> dict[str, list[Path]]:
    """Candle files of other venues by symbol.

    Raises:
        InvalidSetting: one is not written as SYMBOL=FILE, or names a symbol that is not traded.
    """
    found: dict[str, list[Path]] = {}
    for symbol, path in (_of_a_symbol("confirm-data", text, symbols) for text in texts):
        found.setdefault(symbol, []).append(typed_path(path))
    return found


def _of_a_symbol(flag: str, text: str, symbols: Sequence[str]) -> tuple[str, str]:
    symbol, sign, path = text.partition("=")
    if not sign and len(symbols) == 1:
        symbol, path = symbols[0], text
    if symbol not in symbols or not path:
        raise InvalidSetting(f"--{flag} {text}: write it as SYMBOL=FILE, for one of {', '.join(symbols)}")
    return symbol, path


def _candidates(settings: Settings, named: list[str], first: datetime, last: datetime) -> list[str]:
    """The symbols that may belong to the universe between two moments: those of its file, or those it is chosen from.

    Raises:
        InvalidSetting: there are none, or the universe cannot be read.
    """
    feeds = settings.feeds
    universe = parse_universe(feeds.universe)
    if isinstance(universe, Path):
        found = [s for s in members_between(read_universe(universe), first, last) if not named or s in named]
        remedy = f"{universe.name} has no such member{' among --symbol' if named else ''} between --from and --to"
    else:
        several = list(feeds.symbols) if len(feeds.symbols) > 1 else []
        found = named or several or _stored_spot(feeds)
        remedy = f"no candles of {feeds.exchange} {feeds.timeframe} are stored; name --symbol several times, or download some"
    if not found:
        raise InvalidSetting(f"the universe is empty: {remedy}")
    return found


def _stored_spot(feeds: FeedSettings) -> list[str]:
    wanted = (feeds.exchange, feeds.timeframe)
    keys = [key for key in CandleStore(feeds.store_path).held() if (key.venue, str(key.timeframe)) == wanted]
    return [key.symbol for key in keys if ":" not in key.symbol]


def _check_symbols(settings: Settings) -> None:
    symbols = settings.feeds.symbols
    if len(set(symbols)) != len(symbols):
        raise InvalidSetting("a symbol is named twice; name each one once")
