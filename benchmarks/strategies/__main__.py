"""Do strategies trade here as on plain Backtrader: `python -m benchmarks.strategies [--data SYMBOL=FILE] [--examples]`.

The collection of community strategies, with fees and rules off, must come out equal to the last order, fill and notification. With
`--examples` the examples of the project's pages are run too, with the same costs on both sides, on forecasts that are trained first. With
`--sessions` each strategy trades a session on paper and one with real orders at the practice exchange, both compared with their replays.
With `--store` some of them are plain scripts with `CCXTStore` that send real orders there, beside a backtest over the same bars.
The tables land in `benchmarks/strategies.md`; the command ends with 1 where a strategy differs that must not.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pandas as pd

from benchmarks.strategies.collection import COLLECTION
from benchmarks.strategies.compared import Case, Played, differences, ours, plain
from benchmarks.strategies.examples import Market, compared, markets_of
from benchmarks.strategies.examples import Played as Example
from benchmarks.strategies.sessions import BARS as SESSION_BARS
from benchmarks.strategies.sessions import Session, sessions
from benchmarks.strategies.stores import BARS as STORE_BARS
from benchmarks.strategies.stores import NAMES, in_both
from forwardtrader.core.atomic import write_text
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.sample_market import sample_candles

PAGE: Final = Path(__file__).resolve().parent.parent / "strategies.md"
SYMBOLS: Final = ("BTC/USDT", "ETH/USDT")
HOUR: Final = Timeframe.parse("1h")
BARS: Final = 2000
COMMUNITY, SESSIONS, STORES, EXAMPLES = "<!-- community -->", "<!-- sessions -->", "<!-- store -->", "<!-- table -->"


def sample_markets() -> dict[str, pd.DataFrame]:
    """Hourly bars of two simulated markets."""
    end = datetime(2022, 1, 1, tzinfo=UTC)
    return {symbol: sample_candles(symbol, HOUR, seed=seed, until=end).iloc[-BARS:] for seed, symbol in enumerate(SYMBOLS)}


def community(markets: Mapping[str, pd.DataFrame]) -> Iterator[tuple[Case, Played, Played]]:
    """By case: here, and on Backtrader."""
    for case in COLLECTION:
        yield case, ours(case, markets, HOUR), plain(case, markets, HOUR)


def community_row(case: Case, here: Played, there: Played) -> str:
    """One line of the first table."""
    found = differences(here, there)
    outcome = "equal" if not found else case.difference or found[0][:200]
    return (
        f"| {case.name} | {here.orders:,} | {there.orders:,} | {len(here.fills):,} | {len(there.fills):,} | {here.value:,.2f} | "
        f"{there.value:,.2f} | {outcome} |"
    )


def example_row(market: Market, name: str, cash: float, here: Example, there: Example) -> str:
    """One line of the second table."""
    apart = here.trips / there.trips - 1 if there.trips else 0.0
    gains = [f"{(played.equity / cash - 1):+.1%}" for played in (here, there)]
    return (
        f"| {market.rules.symbol} | {name} | {here.trips:,} | {there.trips:,} | {apart:+.1%} | {here.refused:,} | {here.dust:.2f} | "
        f"{gains[0]} | {gains[1]} |"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run every strategy, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strategies", description="strategies here and on plain Backtrader")
    parser.add_argument(
        "--data", action="append", default=[], metavar="SYMBOL=FILE", help="hourly candles for the examples (default: sample)"
    )
    parser.add_argument("--examples", action="store_true", help="the examples of the pages too; trains models")
    parser.add_argument("--sessions", action="store_true", help="sessions and their replays instead; takes a quarter of an hour")
    parser.add_argument("--store", action="store_true", help="plain scripts with CCXTStore instead, beside the same bars in a backtest")
    parser.add_argument("--page", type=Path, default=PAGE)
    said = parser.parse_args(argv)
    clock = SystemClock()
    words = "python -m benchmarks.strategies" + "".join(f" --data {text.rpartition('/')[2]}" for text in said.data)
    title = [f"`{words}`, {clock.now():%Y-%m-%d}, {os.cpu_count()} cores.", ""]
    if said.sessions:
        return _sessions(said.page, clock)
    if said.store:
        return _stores(said.page, clock)
    head = "| strategy | orders | there | fills | there | final value | there | outcome |"
    lines, unequal = [*title, head, "|---" * 8 + "|"], 0
    print("\n".join(lines))
    for case, here, there in community(sample_markets()):
        lines.append(community_row(case, here, there))
        unequal += bool(differences(here, there)) and not case.difference
        print(lines[-1], flush=True)
    lines += ["", f"{len(COLLECTION) - unequal} of {len(COLLECTION)} as they must be."]
    print(lines[-1])
    _write(said.page, COMMUNITY, lines)
    if said.examples or said.data:
        _write(said.page, EXAMPLES, [*title, *_examples(said.data)])
    return 1 if unequal else 0


def session_row(case: Case, found: Sequence[Session]) -> str:
    """One line of the table of sessions: each beside its replay."""
    if not found:
        return f"| {case.name} |{' – |' * 6} not a class that a session can name |"
    cells = [f"{one.orders} | {one.fills} | {'equal' if not one.difference else 'other'}" for one in found]
    why = " ".join(dict.fromkeys(case.in_session or one.difference[:200] for one in found if one.difference))
    return f"| {case.name} | {' | '.join(cells)} | {why} |"


def _sessions(page: Path, clock: SystemClock) -> int:
    """Every session, and the table of them; 1 where one differs from its replay for no reason that is known."""
    lines = [
        f"`python -m benchmarks.strategies --sessions`, {clock.now():%Y-%m-%d}, {SESSION_BARS} bars, {os.cpu_count()} cores.",
        "",
    ]
    lines += ["| strategy | paper: orders | fills | replay | real: orders | fills | replay | why |", "|---" * 8 + "|"]
    print("\n".join(lines))
    markets, unequal = sample_markets(), 0
    for case in COLLECTION:
        found = list(sessions(case, markets))
        unequal += any(one.difference for one in found) and not case.in_session
        lines.append(session_row(case, found))
        print(lines[-1], flush=True)
    _write(page, SESSIONS, lines)
    return 1 if unequal else 0


def _stores(page: Path, clock: SystemClock) -> int:
    """Every script with the store, and the table of them; 1 where one differs from the backtest."""
    market = sample_markets()[SYMBOLS[0]]
    lines = [f"`python -m benchmarks.strategies --store`, {clock.now():%Y-%m-%d}, {STORE_BARS} bars, {os.cpu_count()} cores.", ""]
    lines += ["| strategy | fills | in a backtest | outcome |", "|---" * 4 + "|"]
    unequal = 0
    for case in (case for case in COLLECTION if case.name in NAMES):
        here, there, first = in_both(case, market)
        unequal += bool(first)
        lines.append(f"| {case.name} | {len(here)} | {len(there)} | {first[:200] or 'equal'} |")
        print(lines[-1], flush=True)
    _write(page, STORES, lines)
    return 1 if unequal else 0


def _examples(data: Sequence[str]) -> list[str]:
    files = {symbol: Path(path) for symbol, _, path in (text.partition("=") for text in data)}
    settings = StrategySettings()
    lines = [
        "| market | strategy | round trips | plain Backtrader | difference | refused | dust at the end | return | plain |",
        "|---" * 9 + "|",
    ]
    for market in markets_of(files, SYMBOLS, SystemClock()):
        lines += [example_row(market, name, settings.cash, here, there) for name, here, there in compared(market, settings)]
    print("\n".join(lines), flush=True)
    return lines


def _write(page: Path, mark: str, lines: Sequence[str]) -> None:
    before, _, rest = page.read_text(encoding="utf-8").partition(mark)
    write_text(page, f"{before}{mark}\n" + "\n".join(lines) + f"\n{mark}" + rest.partition(mark)[2])


if __name__ == "__main__":
    sys.exit(main())
