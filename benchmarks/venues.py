"""How soon a faulty venue is found among three, and how often sound ones are held to disagree: `python -m benchmarks.venues [--data DIR]`.

Faults are planted at a random bar in a random venue of three, in simulated markets and, with `--data`, in real candles of DIR
(`binance_spot_BTCUSDT_1h.csv.gz` and so on). Found means that the verdict at the first faulty bar or the next one names that venue. The
thresholds were chosen on candles before 2022; everything was fixed before later ones were looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd

from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.confirmation.judge import VenueJudge
from forwardtrader.feeds.confirmation.judged import bars_of, judge

PAGE: Final = Path(__file__).with_suffix(".md")
HOUR: Final = Timeframe.parse("1h")
STEP: Final = HOUR.seconds * 1000
VENUES: Final = ("traded", "second", "third")
Fault = Literal["frozen", "off by 2 %", "one bad tick", "late", "silent", "wrong decimal"]
FAULTS: Final[tuple[Fault, ...]] = ("frozen", "off by 2 %", "one bad tick", "late", "silent", "wrong decimal")
FROM: Final = 560  # bars before the first fault
LASTS: Final = 6  # bars of a fault, save for one bad tick
WITHIN: Final = 2
HOURS_A_MONTH: Final = 730.5
SPLIT: Final = pd.Timestamp("2022-01-01", tz="UTC")
PAIRS: Final = (
    ("binance_spot_BTCUSDT_1h", "kraken_spot_BTCUSD_1h"),
    ("binance_spot_BTCUSDT_1h", "coinbase_spot_BTCUSD_1h"),
    *((f"binance_spot_{coin}USDT_1h", f"binance_perp_{coin}USDT_1h") for coin in ("BTC", "ETH", "XRP", "ADA", "LTC")),
)
TRIPLES: Final = (
    ("binance_spot_BTCUSDT_1h", "kraken_spot_BTCUSD_1h", "binance_perp_BTCUSDT_1h"),
    ("binance_spot_BTCUSDT_1h", "coinbase_spot_BTCUSD_1h", "binance_perp_BTCUSDT_1h"),
)
Rows = dict[str, list[Bar]]


def simulated(seed: int, bars: int = FROM + 60, venues: int = 3) -> Rows:
    """One market at several venues: volatility that clusters, prices of each venue a few basis points from it, quotes at a slow basis."""
    random = np.random.default_rng([seed, 19])
    volatility = np.exp(np.cumsum(random.normal(0, 0.05, bars)) * 0.5) * 0.006
    paths = np.cumsum(random.standard_t(4, (bars, 12)) * (np.clip(volatility, 0.001, 0.03) / np.sqrt(24))[:, None]).reshape(bars, 12)
    found: Rows = {}
    for name in (*VENUES, "fourth", "fifth")[:venues]:
        basis = random.normal(0, 0.001) + np.cumsum(random.normal(0, 1e-5, bars))
        log_price = np.log(30_000.0) + paths + basis[:, None] + random.normal(0, 0.0003, (bars, 12))
        price = np.round(np.exp(log_price), 2)
        volume = np.round(random.lognormal(3, 0.8, bars) * (1 + (name == "traded")), 4)
        columns = (price[:, 0], price.max(axis=1), price.min(axis=1), price[:, -1], volume)
        found[name] = [Bar(n * STEP, *row) for n, row in enumerate(zip(*(column.tolist() for column in columns), strict=True))]
    return found


def planted(rows: Sequence[Bar], fault: Fault, place: int, random: np.random.Generator) -> list[tuple[int, Bar]]:
    """The bars of a venue with a fault that begins at one place, each with the time of the verdict before which it is known."""
    sign, until = (1 if random.random() < 0.5 else -1), place + LASTS
    if fault == "frozen":
        before, is_copy = rows[place - 1], random.random() < 0.5
        last = before if is_copy else Bar(0, before.close, before.close, before.close, before.close, 0.0)
        return _timed(last._replace(at=bar.at) if place <= n < until else bar for n, bar in enumerate(rows))
    if fault == "off by 2 %":
        return _timed(_times(bar, 1.02**sign) if place <= n < until else bar for n, bar in enumerate(rows))
    if fault == "wrong decimal":
        factor = float(10.0 ** (sign * random.integers(1, 4)))
        return _timed(_times(bar, factor) if place <= n < until else bar for n, bar in enumerate(rows))
    if fault == "one bad tick":
        return _timed([*rows[:place], _bad_tick(rows[place], sign, random), *rows[place + 1 :]])
    if fault == "silent":
        return _timed([*rows[:place], *rows[until:]])
    return [(bar.at + STEP if place <= n < until else bar.at, bar) for n, bar in enumerate(rows)]  # each a bar late


def _timed(bars: Iterable[Bar]) -> list[tuple[int, Bar]]:
    return [(bar.at, bar) for bar in bars]


def _times(bar: Bar, factor: float) -> Bar:
    return Bar(bar.at, bar.open * factor, bar.high * factor, bar.low * factor, bar.close * factor, bar.volume / factor)


def _bad_tick(bar: Bar, sign: int, random: np.random.Generator) -> Bar:
    """One trade at a price 10 % away: the last one of the bar, or one in its middle."""
    price = bar.close * (1 + 0.1 * sign)
    high, low = max(bar.high, price), min(bar.low, price)
    return bar._replace(high=high, low=low, close=price if random.random() < 0.5 else bar.close)


@dataclass(frozen=True)
class Outcome:
    """What became of one fault: whether its venue was named in time, whether another one was, and whether the traded one was paused."""

    found: bool
    others_blamed: bool
    paused: bool


def outcome(rows: Rows, fault: Fault, seed: int, settings: ConfirmationSettings = ConfirmationSettings()) -> Outcome:  # noqa: B008 - frozen
    """Plant one fault, at a random bar of a random venue, and judge."""
    random = np.random.default_rng([seed, FAULTS.index(fault)])
    venues = tuple(rows)
    culprit = venues[int(random.integers(len(venues)))]
    place = int(random.integers(FROM, len(rows[venues[0]]) - LASTS))
    bars = {name: planted(each, fault, place, random) if name == culprit else _timed(each) for name, each in rows.items()}
    judging, verdicts, first = VenueJudge(venues, STEP, settings), [], rows[venues[0]][place].at
    arrivals: dict[int, list[tuple[str, Bar]]] = {}
    for name, each in bars.items():
        for known, bar in each:
            arrivals.setdefault(known, []).append((name, bar))
    for at in range(rows[venues[0]][0].at, first + WITHIN * STEP, STEP):
        for name, bar in arrivals.get(at, ()):
            judging.add(name, bar)
        verdicts.append(judging.decide(at))
    since = [verdict for verdict in verdicts if verdict.at >= first]
    return Outcome(
        any(culprit in verdict.faults for verdict in since),
        any(name != culprit for verdict in since for name in verdict.faults),
        any(verdict.objection for verdict in since),
    )


def false_pauses(frames: Mapping[str, pd.DataFrame], settings: ConfirmationSettings = ConfirmationSettings()) -> tuple[int, float]:  # noqa: B008
    """How often entries were blocked while the first venue had candles, and the months that both had them."""
    begin, end = max(frame.index[0] for frame in frames.values()), min(frame.index[-1] for frame in frames.values())
    found = judge({name: frame.loc[begin:end] for name, frame in frames.items()}, HOUR, settings)
    filled, is_paused, count = {bar.at for bar in bars_of(found.filled)}, False, 0
    for verdict in found.verdicts:
        if verdict.at not in filled and verdict.source:
            count += bool(verdict.objection) and not is_paused
            is_paused = bool(verdict.objection)
    return count, len(found.verdicts) / HOURS_A_MONTH


def faults_table(markets: Callable[[int], Rows], seeds: int) -> list[str]:
    lines = ["| fault | found within 2 bars | another venue named |", "|---|---|---|"]
    for fault in FAULTS:
        found = [outcome(markets(seed), fault, seed) for seed in range(seeds)]
        lines.append(f"| {fault} | {sum(each.found for each in found)} of {seeds} | {sum(each.others_blamed for each in found)} |")
    return lines


def two_venues_table(seeds: int) -> list[str]:
    lines = ["| fault of one of two | entries blocked within 2 bars | a venue named |", "|---|---|---|"]
    for fault in FAULTS:
        found = [outcome(simulated(seed, venues=2), fault, seed) for seed in range(seeds)]
        named = sum(each.found or each.others_blamed for each in found)
        lines.append(f"| {fault} | {sum(each.paused for each in found)} of {seeds} | {named} |")
    return lines


def _loaded(folder: Path, name: str) -> pd.DataFrame:
    frame = pd.read_csv(folder / f"{name}.csv.gz", index_col="timestamp")
    frame.index = pd.to_datetime(frame.index, utc=True).as_unit("ns")
    return frame[list(OHLCV)].astype(np.float64)


def pauses_table(folder: Path) -> list[str]:
    lines = ["| traded | confirmed by | months before 2022 | pauses a month | months from 2022 on | pauses a month |", "|---|" + "---|" * 5]
    for pair in [order for both in PAIRS for order in (both, both[::-1])]:
        frames = {name: _loaded(folder, name) for name in pair}
        cells = []
        for is_later in (False, True):
            parts = {name: frame[(frame.index >= SPLIT) == is_later] for name, frame in frames.items()}
            has_both = all(map(len, parts.values())) and max(f.index[0] for f in parts.values()) < min(f.index[-1] for f in parts.values())
            count, months = false_pauses(parts) if has_both else (0, 0.0)
            cells += [f"{months:.1f}", f"{count / months:.2f} ({count})"] if months else ["none", ""]
        lines.append(f"| {pair[0].removesuffix('_1h')} | {pair[1].removesuffix('_1h')} | {' | '.join(cells)} |")
    return lines


def real_stretch(folder: Path, names: Sequence[str]) -> Callable[[int], Rows]:
    """A stretch of the candles that three venues have in common, another one for each seed."""
    frames = {name: _loaded(folder, name) for name in names}
    index = frames[names[0]].index
    for frame in frames.values():
        index = index.intersection(frame.index)
    index = index[index < SPLIT] if index[0] < SPLIT else index
    bars = {venue: bars_of(frame.loc[index]) for venue, frame in zip(VENUES, frames.values(), strict=True)}
    whole = FROM + 60

    def stretch(seed: int) -> Rows:
        first = int(np.random.default_rng([seed, 7]).integers(0, len(index) - whole))
        return {name: [bar._replace(at=n * STEP) for n, bar in enumerate(each[first : first + whole])] for name, each in bars.items()}

    return stretch


def page(seeds: int, folder: Path | None) -> str:
    command = f"python -m benchmarks.venues{' --data DIR' if folder else ''}"
    parts = ["# Several venues for one market", "", f"`{command}`, with the settings that ship."]
    parts += ["", f"## One of three is faulty, {seeds} simulated markets", "", *faults_table(simulated, seeds)]
    parts += ["", f"## One of two is faulty, {seeds} simulated markets", "", *two_venues_table(seeds)]
    if folder is not None:
        for names in TRIPLES:
            title = ", ".join(name.removesuffix("_1h") for name in names)
            parts += ["", f"## One of three is faulty, {seeds} stretches of real candles: {title}", ""]
            parts += faults_table(real_stretch(folder, names), seeds)
        parts += ["", "## Pauses on real candles", "", *pauses_table(folder)]
    return "\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of hourly candles")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    text = page(given.seeds, given.data)
    given.page.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
