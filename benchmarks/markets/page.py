"""The table of `benchmarks.markets` in Markdown."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scipy.stats import kstest

from forwardtrader.core.types import Verdict

NULL_AT_MOST: Final = 0.05
PLANTED_AT_LEAST: Final = 0.80


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one market came to; Sharpe ratios are annual and net. `attainable` is the rank IC of who knows the signal."""

    kind: str
    seed: int
    digest: str
    verdict: str
    reasons: list[str]
    rank_ic: float
    attainable: float
    sharpe: float
    oracle_sharpe: float
    bets: float
    psr: float
    random_entries_p: float
    shifted_p: float
    shifted_sharpe: float
    seconds: float
    cpu_seconds: float


def page(results: Sequence[Result], *, command: str, made: str, machine: str, how: str) -> str:
    """The whole page."""
    lines = ["# Markets whose truth is known", "", f"`{command}`, {made}, {machine}.", ""]
    lines += ["| markets | count | edge | no edge | not enough data | share of edge (95 %) | asked | reached |", "|---|" + "---|" * 7]
    for kind in ("null", "planted"):
        lines += _verdicts(kind, [r for r in results if r.kind == kind])
    lines += ["", "Medians, with the range from the 10th to the 90th percentile:", ""]
    heads = "rank IC | attainable | net Sharpe | on shifted forecasts | Sharpe of who knows the signal | bets | CPU s"
    lines += [f"| markets | {heads} |", "|---|" + "---|" * 7]
    for kind in ("null", "planted"):
        lines += _numbers(kind, [r for r in results if r.kind == kind])
    lines += ["", "The two questions of whose money it is, however the judgement ended, where they were asked:", ""]
    lines += ["| markets | question | asked of | p < 0.05 (95 %) | p < 0.5 | p uniform (KS) |", "|---|" + "---|" * 5]
    for kind in ("null", "planted"):
        own = [r for r in results if r.kind == kind]
        lines += _p_values(kind, "random entries", [r.random_entries_p for r in own])
        lines += _p_values(kind, "shifted forecasts", [r.shifted_p for r in own if r.bets > 0])
    lines += ["", "What ended the judgement of the others:", ""]
    for kind in ("null", "planted"):
        lines += _endings(kind, [r for r in results if r.kind == kind and r.verdict != Verdict.EDGE])
    return "\n".join([*lines, "", how])


def _verdicts(kind: str, own: Sequence[Result]) -> list[str]:
    if not own:
        return []
    count = Counter(r.verdict for r in own)
    share, (low, high) = count[Verdict.EDGE] / len(own), wilson(count[Verdict.EDGE], len(own))
    asked, reached = (
        (f"at most {NULL_AT_MOST:.0%}", share <= NULL_AT_MOST)
        if kind == "null"
        else (f"at least {PLANTED_AT_LEAST:.0%}", share >= PLANTED_AT_LEAST)
    )
    cells = [kind, str(len(own)), *(str(count[v]) for v in (Verdict.EDGE, Verdict.NO_EDGE, Verdict.NOT_ENOUGH_DATA))]
    cells += [f"{share:.1%} ({low:.1%} to {high:.1%})", asked, "yes" if reached else "**no**"]
    return ["| " + " | ".join(cells) + " |"]


def _p_values(kind: str, question: str, values: Sequence[float]) -> list[str]:
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return []
    passed = sum(value < 0.05 for value in known)
    low, high = wilson(passed, len(known))
    below = sum(value < 0.5 for value in known) / len(known)
    uniform = f"{kstest(known, 'uniform').pvalue:.3f}" if kind == "null" else "-"
    return [f"| {kind} | {question} | {len(known)} | {passed / len(known):.1%} ({low:.1%} to {high:.1%}) | {below:.0%} | {uniform} |"]


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Interval of a proportion (Wilson 1927)."""
    p, n = hits / count, float(count)
    middle, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, (middle - spread) / (1 + z * z / n)), min(1.0, (middle + spread) / (1 + z * z / n))


def _numbers(kind: str, own: Sequence[Result]) -> list[str]:
    if not own:
        return []
    known = [r.oracle_sharpe for r in own if math.isfinite(r.oracle_sharpe)]
    cells = [kind, _spread([r.rank_ic for r in own], 3), _spread([r.attainable for r in own], 3) if kind == "planted" else "0"]
    shifted = [r.shifted_sharpe for r in own if math.isfinite(r.shifted_sharpe)]
    cells += [_spread([r.sharpe for r in own], 2), _spread(shifted, 2) if shifted else "-", _spread(known, 2) if known else "-"]
    cells += [_spread([r.bets for r in own], 0), f"{statistics.median(r.cpu_seconds for r in own):.1f}"]
    return ["| " + " | ".join(cells) + " |"]


def _spread(values: Sequence[float], digits: int) -> str:
    ordered = sorted(values)
    low, high = (ordered[min(round(q * (len(ordered) - 1)), len(ordered) - 1)] for q in (0.1, 0.9))
    return f"{statistics.median(ordered):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _endings(kind: str, own: Sequence[Result]) -> list[str]:
    counted = Counter(_ending(r) for r in own)
    return [f"- {kind}: {count} {what}" for what, count in counted.most_common()]


def _ending(result: Result) -> str:
    """The question of the rule at which the judgement ended."""
    said = " ".join(result.reasons)
    for word, what in _ENDINGS.items():
        if word in said:
            return what
    return "not better than " + " nor ".join(what for word, what in _LAST_QUESTION.items() if word in said)


_ENDINGS: Final = {
    "do not rank returns": "forecasts no better than chance",
    "nothing was traded": "nothing traded",
    "did not earn": "lost money after costs",
    "too few to judge": "turned over too few times",
    "independent bars": "too few bars",
}
_LAST_QUESTION: Final = {
    "is not beyond the luck": "luck",
    "does not beat random entries": "random entries",
    "is not beyond that": "the same strategy on shifted forecasts",
}
OF_MARKETS: Final = """\
## What was made, and what was made smaller

Each market takes 855 days of hourly bars from a place of its own in the base candles and keeps their volatility, wicks and calendar. In a
*null* market the direction of every bar is tossed anew, so that prices are a martingale: nothing can be earned, and costs are lost. In a
*planted* market the next return leans on a signal of correlation 0.12 and first autocorrelation 0.95 that stands in plain sight in the
volume. The last 365 days are traded at 10 basis points of fee and 2 of slippage a side, next-bar-open fills.

"On shifted forecasts" is what the same strategy earns, in the mean, where its forecasts are moved to other times (docs/verdict.md).
The column "of who knows the signal" is the same strategy with the same costs on the expected returns that the signal implies: what can be
earned at most. Every market has a ledger of its own, so each is a first try.

Smaller than by default, on both kinds alike: 16 units in place of 48, one seed in place of three, 365 days to learn from in
place of 730, a retrain every 91 days in place of 28, no baselines. All of this makes the forecasts worse, which costs planted
markets and gives null markets nothing. Horizons are 1 and 8 bars and the longer one is traded.

The strategy trades the forecast and nothing else (`strategies.holding: 0d`, `strategies.margin: 1.0`, `strategies.min_trade: 0.25`). The
default rule expects a gain from holding where no forecast reaches (`strategies.premium`) and trades some ten times a year: in a market
whose drift is zero by construction that premise is false, and a handful of trades cannot be told from luck in one year. With the default
of these three settings 12 of 20 such planted markets were called "edge" and the others "not enough data". A rule that trades often is
also the harder test for null markets, since a rule that hardly trades says "edge" hardly ever.
"""
OF_PANELS: Final = """\
## What was made, and what was made smaller

A panel is three perpetuals in one account. Each takes 855 days of hourly bars from the same place in the base candles of three coins and
keeps their volatility, wicks and calendar. In a *null* panel one toss of a coin decides for all three whether the bar is turned round, so
that each price is a martingale and the three move together as they did. In a *planted* panel the next return of each leans on a signal of
its own, of correlation 0.12 and first autocorrelation 0.95, in plain sight in its volume; their noise has a correlation of 0.6. The last
365 days are traded long and short by the shipped rule for several symbols, at leverage 1, 5 basis points of fee and 2 of slippage a side,
next-bar-open fills, and the prior for funding. Every panel has a ledger of its own, so each is a first try.

Forecasts are shifted in time only where the verdict hangs on it: of panels that end at an earlier question nobody needs to know. Rank IC is
the mean of the three. "On shifted forecasts" is what the same strategy earns, in the mean, where the forecasts of all three are
moved to other times together (docs/verdict.md).

Smaller than by default, on both kinds alike: LightGBM in place of the network, 365 days to learn from in place of 730, a retrain every 91
days in place of 28, no baselines. Horizons are 1 and 8 bars, and the longer one is traded.
"""
