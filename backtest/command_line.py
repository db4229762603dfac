"""The flags of `run_backtest.py`, read into a request."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Final

from forwardtrader.backtest.dates import traded_span
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.clock import Clock
from forwardtrader.core.config import load_settings, parse_assignment
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.flags import FlagParser
from forwardtrader.core.settings import Settings
from forwardtrader.feeds.factors.files import parse_factor
from forwardtrader.feeds.files.symbol import symbol_of_file

# Flags that are nothing but another name for a setting.
PLAIN: Final = {
    "timeframe": "feeds.timeframe",
    "exchange": "feeds.exchange",
    "source": "feeds.source",
    "cash": "strategies.cash",
    "fee_bps": "strategies.fee_bps",
    "slippage_bps": "strategies.slippage_bps",
    "train_window": "models.train_window",
    "retrain_every": "models.retrain_every",
    "seeds": "models.seeds",
    "seed": "models.seed",
    "jobs": "models.jobs",
    "cluster": "models.cluster",
    "out": "reports.output",
}


def parser() -> FlagParser:
    """All flags with their help."""
    p = FlagParser(
        prog="run_backtest.py",
        description="Train an LSTM walk-forward, trade its forecasts through Backtrader, and write a report one can trust.",
        epilog="Exit codes: 0 done, 2 a mistake in the command or its data, 3 data not to be had, 1 a bug, 130 interrupted.",
        allow_abbrev=False,
    )
    what = p.add_argument_group("what to trade")
    what.add_argument("--from", dest="first", metavar="DATE", help="first day traded; training data before it is found by itself")
    what.add_argument("--to", dest="last", metavar="DATE", help="last day traded (default: now)")
    what.add_argument("--symbol", action="append", metavar="SYMBOL", help="e.g. BTC/USDT; several share one account and one model")
    what.add_argument("--timeframe", metavar="1h", help="length of one bar")
    what.add_argument("--exchange", metavar="NAME", help="whose candles and rules")
    what.add_argument("--data", action="append", default=[], metavar="[SYMBOL=]FILE", help="candles from a file instead of the store")
    what.add_argument(
        "--factor", action="append", default=[], metavar="[NAME=]FILE[,...]",
        help="facts from outside, used from when they became known; add column=, known_after=1d, max_age=3d where they are not clear",
    )  # fmt: skip
    what.add_argument("--source", choices=["auto", "store", "download", "sample"], help="where candles come from (default: auto)")
    account = p.add_argument_group("account and costs")
    account.add_argument("--cash", metavar="AMOUNT", help="starting cash (default: 10000)")
    account.add_argument("--fee-bps", metavar="BPS", help="fee per side in basis points (default: 10)")
    account.add_argument("--slippage-bps", metavar="BPS", help="slippage per side in basis points (default: 2)")
    learning = p.add_argument_group("walk-forward")
    learning.add_argument("--train-window", metavar="SPAN", help="history each model learns from, e.g. 730d")
    learning.add_argument("--expanding", action="store_true", default=None, help="learn from all history before each boundary")
    learning.add_argument("--retrain-every", metavar="SPAN", help="time between boundaries, e.g. 28d")
    learning.add_argument("--seeds", metavar="N", help="members averaged in each model (default: 3)")
    learning.add_argument("--seed", metavar="N", help="of all randomness (default: 0)")
    learning.add_argument("--baselines", metavar="NAMES", help="all, none, or names separated by commas (default: all)")
    learning.add_argument("--no-cache", action="store_true", help="train every model anew")
    learning.add_argument("--jobs", metavar="N", help="folds trained at a time (default: one per core)")
    learning.add_argument("--cluster", metavar="tcp://HOST:PORT", help="train on a Dask cluster")
    modes = p.add_argument_group("instead of the plain run")
    modes.add_argument("--strategy", default="", metavar="MODULE:CLASS", help="any Backtrader strategy in place of ours")
    modes.add_argument("--sweep", type=Path, metavar="FILE", help="a grid or search space; every point is a counted trial")
    modes.add_argument("--audit", action="store_true", help="look-ahead proofs on this data, these features and this strategy")
    output = p.add_argument_group("settings and output")
    output.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: config.yaml)")
    output.add_argument("--set", dest="assignments", action="append", default=[], metavar="room.key=value", help="any one setting")
    output.add_argument("--out", metavar="DIR", help="where run folders go (default: reports/output)")
    output.add_argument("--name", default="", metavar="TEXT", help="a name for the run")
    output.add_argument("--open", action="store_true", help="open the run page in a browser")
    output.add_argument("--json", action="store_true", help="print run.json instead of the summary")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return p


def read_request(argv: list[str], clock: Clock) -> BacktestRequest:
    """Turn the words of the command line into a request.

    Raises:
        ConfigError: a flag, a date or a setting is wrong; the message names the mend.
    """
    said = parser().parse_args(argv)
    overrides: dict[str, Any] = {key: getattr(said, flag) for flag, key in PLAIN.items() if getattr(said, flag) is not None}
    files, named = _files(said.data, said.symbol)
    if named:
        overrides["feeds.symbols"] = named
    if said.factor:
        overrides["feeds.factors"] = [parse_factor(text) for text in said.factor]
    if said.expanding:
        overrides["models.expanding"] = True
    if said.no_cache:
        overrides["models.cache"] = False
    if said.baselines is not None:
        overrides["models.baselines"] = [name.strip() for name in said.baselines.split(",") if name.strip()]
    overrides |= dict(parse_assignment(text) for text in said.assignments)
    settings = load_settings(said.config, overrides=overrides)
    _check_symbols(settings)
    first, last = traded_span(said.first, said.last, clock)
    return BacktestRequest(
        settings=settings, first=first, last=last, files=files, strategy=said.strategy, name=said.name,
        command=shlex.join(["python", "run_backtest.py", *argv]), sweep=said.sweep, audit=said.audit,
        open_page=said.open, as_json=said.json, quiet=said.quiet, open_ended=said.last is None,
    )  # fmt: skip


def _files(data: list[str], symbols: list[str] | None) -> tuple[dict[str, Path], list[str]]:
    """Candle files by symbol, and the symbols to trade: those of --symbol, or else those of --data."""
    named = list(symbols or [])
    files: dict[str, Path] = {}
    for text in data:
        symbol, sign, path = text.partition("=")
        if not sign:
            if len(data) > 1 or len(named) > 1:
                raise InvalidSetting(f"--data {text}: with several symbols write it as SYMBOL=FILE")
            symbol, path = (named[0] if named else symbol_of_file(Path(text).name)), text
        files[symbol] = Path(path)
    if files and not named:
        named = list(files)
    stray = [symbol for symbol in files if symbol not in named]
    if stray:
        raise InvalidSetting(f"--data names {stray[0]}, which is not among --symbol; add --symbol {stray[0]}")
    return files, named


def _check_symbols(settings: Settings) -> None:
    symbols = settings.feeds.symbols
    if len(set(symbols)) != len(symbols):
        raise InvalidSetting("a symbol is named twice; name each one once")
