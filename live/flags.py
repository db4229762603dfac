"""The flags of `run_live.py`, and of the parity command."""

from __future__ import annotations

from pathlib import Path

from forwardtrader.core.command.flags import FlagParser


def parser() -> FlagParser:
    """All flags of `run_live.py` with their help."""
    p = FlagParser(
        prog="run_live.py",
        description="Trade the forecasts live: on paper, on the practice exchange, or for real.",
        examples=(
            "python run_live.py --paper",
            "python run_live.py --paper --sandbox",
            "python run_live.py --status",
            "python run_live.py --live --yes-real-money --exchange binance --symbol BTC/USDT --session btc",
        ),
        closing="exit codes: 0 done, 1 a bug, 2 a mistake in the command, 3 venue or data unavailable, 4 halted, "
        "5 refused to start or not obeyed, 130 Ctrl-C",
    )
    where = p.add_argument_group("where to trade")
    where.add_argument("--paper", action="store_true", help="our broker on live data (the default)")
    where.add_argument("--live", action="store_true", help="real orders; needs --yes-real-money, or --sandbox")
    where.add_argument(
        "--yes-real-money", action="count", default=0, help="given once it asks before the first order, given twice it does not"
    )
    where.add_argument("--exchange", action="append", metavar="NAME", help="repeatable; the first trades, others confirm it (kraken:USD)")
    what = p.add_argument_group("what to trade")
    what.add_argument("--symbol", action="append", metavar="SYMBOL", help="repeatable, e.g. BTC/USDT")
    what.add_argument("--timeframe", metavar="1h", help="length of a bar")
    what.add_argument("--resample", action="append", metavar="4h", help="longer bars for the strategy, self.data1; repeatable (data2, ...)")
    what.add_argument("--strategy", default="", metavar="MODULE:CLASS", help="any Backtrader strategy in place of ours")
    what.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of --strategy; repeatable")
    what.add_argument("--forecaster", metavar="NAME|MODULE:CLASS", help="what forecasts: lstm (default), or as for run_backtest.py")
    what.add_argument(
        "--factor", action="append", default=[], metavar="[NAME=]FILE|KIND[,...]",
        help="external data, as for run_backtest.py; a file is read again whenever it grows, a source is asked while the session runs",
    )  # fmt: skip
    _add_practice(p)
    session = p.add_argument_group("session")
    session.add_argument("--session", metavar="NAME", help="name a session, or resume one")
    session.add_argument("--bars", type=int, default=0, metavar="N", help="stop after N live bars")
    session.add_argument("--until", metavar="TIME", help="stop at this time, UTC")
    session.add_argument("--check", action="store_true", help="preflight check of keys, data, models and alerts; nothing is traded")
    _add_firestore(p)
    running = p.add_argument_group("control of the running session")
    for verb, purpose in (
        ("status", "show it"), ("pause", "no new positions"), ("resume", "positions again"),
        ("flatten", "close every position and pause"), ("kill", "cancel all orders, stop, stay stopped until --resume"),
    ):  # fmt: skip
        running.add_argument(f"--{verb}", action="store_true", help=purpose)
    running.add_argument("--json", action="store_true", help="with --status: as JSON")
    output = p.add_argument_group("settings and output")
    output.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: config.yaml)")
    output.add_argument("--set", action="append", default=[], metavar="room.key=value", help="any one setting; repeatable")
    output.add_argument("--quiet", action="store_true", help="no terminal view")
    return p


def _add_firestore(p: FlagParser) -> None:
    shared = p.add_argument_group("Firestore")
    shared.add_argument(
        "--from-firestore", action="store_true", help="go on with a session of another machine: wait for its lease, restore it, then trade"
    )
    shared.add_argument("--sync-firestore", action="store_true", help="make the mirror of --session equal to its files; says what differed")


def _add_practice(p: FlagParser) -> None:
    practice = p.add_argument_group("practice exchange")
    practice.add_argument("--sandbox", action="store_true", help="start it and trade there; needs no network and no keys")
    practice.add_argument("--speed", metavar="N|lockstep", help="times real time (default: 1800), or as fast as the session is")
    practice.add_argument("--market", metavar="FILE|sample", help="what it plays (default: sample)")
    practice.add_argument("--faults", type=Path, metavar="FILE", help="faults that it injects")


def parity_parser() -> FlagParser:
    """The flags of the parity command."""
    p = FlagParser(
        prog="python -m live.parity",
        description="Replay a recorded session through the backtest and compare the two bar by bar.",
        examples=("python -m live.parity paper-sandbox",),
        closing="exit codes: 0 equal, 6 not equal, 2 a mistake in the command",
    )
    p.add_argument("name", metavar="SESSION", help="its name")
    p.add_argument("--sessions", type=Path, metavar="DIR", help="where sessions are kept (default: live.sessions_path)")
    return p
