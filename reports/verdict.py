"""The verdict: edge, no edge, or not enough data; and the alarms.

The rule, in the order it is read. Each question that fails ends it.

1. Are there enough independent bars to notice even an information coefficient of 0.10 (618), or, without forecasts, enough years to
   notice an annual Sharpe ratio of 2 (1.55)? Otherwise *not enough data*.
2. Do the forecasts rank returns better than chance, one-sided p < 0.05 over all horizons (Bonferroni)? Otherwise *no edge*.
3. Did the strategy trade, and is its net return above zero? Otherwise *no edge*.
4. Was the position turned over at least 10 times? Otherwise *not enough data*.
5. Is the Sharpe ratio above zero with 95 % after the number of trials (deflated), did the entries beat random entries of the same number,
   length and cost with p < 0.05, and did the forecasts earn it: does the same strategy do better on them than on the same forecasts
   shifted in time, with p < 0.05? All three: *edge*. Otherwise *no edge*, or *not enough data* where the years would not show a Sharpe
   ratio of 2. A strategy that does not look at the forecasts is asked neither about them nor about shifted ones.

Under the null each of questions 2 and 5 passes in at most about 5 % of markets, so *edge* appears in fewer. The numbers of bars and
years come from n = ((z(0.95) + z(0.8)) / effect)^2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from forwardtrader.core.types import Verdict

LEVEL: Final = 0.05
CONFIDENCE: Final = 0.95
MIN_BARS: Final = 618
MIN_YEARS: Final = 1.55
MIN_BETS: Final = 10
# Where nobody knows how many tries there were, only what is beyond most searches counts (Harvey, Liu & Zhu 2016: t above 3).
UNCOUNTED_CONFIDENCE: Final = 0.9987
ALARM_ACCURACY: Final = 0.58
ALARM_IC: Final = 0.10
ALARM_SHARPE: Final = 3.0
ALARM_SMOOTHNESS: Final = 0.99
ALARM_COVERAGE: Final = (0.85, 0.95)
LEAK: Final = "look for a leak first"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The numbers that the verdict rests on; NaN or None where one does not exist.

    `years` is the traded span, `bets` counts how often the usual position was turned over, `sharpe` is annual and net. `independent_bars`
    counts labels that share no bar, `skill_p` is one-sided over all horizons and symbols, `timing_p` compares with random entries.
    `shifted_p` compares with the same strategy on `shifts` shifted forecasts, which had the Sharpe ratio `shifted_sharpe` and the total
    return `shifted_return` in the mean; NaN where the runs ended early because one of them did as well. `smoothness` is the R^2 of log
    equity against time over the days on which it moved. `coverage` is, by symbol with enough bars, the share of outcomes inside the
    forecast 90 % band. `has_forecasts` is false for a strategy that does not look at forecasts, `own_rule`
    for one of the user's. `seen_until` is the first day that the training data of a forecaster trained before the run does not reach; ""
    for one that learned in the run alone. `ruined` says when nothing was left of the account; "" while something is.
    """

    years: float
    bets: float
    total_return: float
    sharpe: float
    psr: float
    dsr: float = math.nan
    trials: int | None = None
    timing_p: float = math.nan
    shifted_p: float = math.nan
    shifts: int = 0
    shifted_sharpe: float = math.nan
    shifted_return: float = math.nan
    has_forecasts: bool = True
    own_rule: bool = True
    seen_until: str = ""
    ruined: str = ""
    independent_bars: float = math.nan
    skill_p: float = math.nan
    rank_ic: float = math.nan
    ic: float = math.nan
    accuracy: float = math.nan
    smoothness: float = math.nan
    coverage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """One thing that the rule asks. `passed` is None where it cannot be told, which ends the rule as a no does.

    `found` is what was found, in one sentence, and `otherwise` the verdict where it is not passed. `is_told` is false where a passed one
    goes without saying.
    """

    asks: str
    passed: bool | None
    found: str
    otherwise: Verdict = Verdict.NO_EDGE
    is_told: bool = True


@dataclass(frozen=True)
class RunVerdict:
    """A verdict with its reasons and alarms as text, and every gate of the rule, also those after the one that ended it."""

    verdict: Verdict
    reasons: tuple[str, ...]
    alarms: tuple[str, ...]
    gates: tuple[Gate, ...] = ()


def judge(evidence: Evidence) -> RunVerdict:
    """Apply the rule of this module; the reasons end with what was earned without the forecasts, where that is known."""
    questions = _questions(evidence)
    verdict, reasons = _ruled(questions)
    if evidence.shifts and _credit(evidence) not in reasons:
        reasons.append(_credit(evidence))
    if evidence.seen_until:
        reasons.append(
            f"bars before {evidence.seen_until} do not count: the forecaster was trained on data up to then, so they are not out of sample"
        )
    return RunVerdict(verdict, tuple(reasons), tuple(alarms(evidence)), tuple(gate for gates in questions for gate in gates))


def alarms(evidence: Evidence) -> Iterator[str]:
    """Alarms: numbers too good to be true before a leak is ruled out."""
    if evidence.accuracy > ALARM_ACCURACY:
        yield f"accuracy {evidence.accuracy:.1%} is above {ALARM_ACCURACY:.0%}: {LEAK}"
    if max(_or_zero(evidence.ic), _or_zero(evidence.rank_ic)) > ALARM_IC:
        yield f"information coefficient {max(_or_zero(evidence.ic), _or_zero(evidence.rank_ic)):.3f} is above {ALARM_IC:.2f}: {LEAK}"
    if evidence.sharpe > ALARM_SHARPE:
        yield f"net Sharpe ratio {evidence.sharpe:.1f} is above {ALARM_SHARPE:.0f}: {LEAK}"
    for symbol, coverage in evidence.coverage.items():
        if coverage < ALARM_COVERAGE[0] or coverage > ALARM_COVERAGE[1]:
            yield f"{coverage:.1%} of the outcomes of {symbol} fell into the band that 90 % were to fall into: its probabilities are wrong"
    if evidence.smoothness > ALARM_SMOOTHNESS and evidence.total_return > 0:
        yield f"the equity curve is almost a straight line (R² {evidence.smoothness:.3f}): {LEAK}"


def _ruled(questions: Sequence[Sequence[Gate]]) -> tuple[Verdict, list[str]]:
    reasons: list[str] = []
    for gates in questions:
        reasons += [gate.found for gate in gates if gate.is_told or not gate.passed]
        failed = next((gate for gate in gates if not gate.passed), None)
        if failed is not None:
            return failed.otherwise, reasons
    return Verdict.EDGE, reasons


def _questions(evidence: Evidence) -> list[list[Gate]]:
    """The questions in their order, each with the gates that are looked at together."""
    if evidence.ruined:
        return [
            [Gate("The account survived", False, f"the account was ruined: nothing was left of it {evidence.ruined}, where the run ended")]
        ]
    short = _too_short(evidence)
    enough = Gate("Enough data", not short, short or _enough(evidence), Verdict.NOT_ENOUGH_DATA, is_told=False)
    skill = [Gate("Forecasts better than chance", _below(evidence.skill_p), _skill(evidence))] if evidence.has_forecasts else []
    earned = Gate("Money left after all costs", evidence.total_return > 0, _money(evidence))
    many = evidence.bets >= MIN_BETS
    turns = f"{evidence.bets:.0f} turns of the position are {'enough' if many else 'too few'}; {MIN_BETS} are needed"
    turned = Gate("Enough trades", many, turns, Verdict.NOT_ENOUGH_DATA, is_told=False)
    return [[enough], skill, [_traded(evidence)], [earned], [turned], _luck_gates(evidence)]


def _traded(evidence: Evidence) -> Gate:
    nothing = "no trade was worth its costs, so nothing was traded" if evidence.own_rule else "the strategy traded nothing"
    return Gate("Something was traded", evidence.bets > 0, "the strategy traded" if evidence.bets > 0 else nothing, is_told=False)


def _luck_gates(evidence: Evidence) -> list[Gate]:
    few = evidence.years < MIN_YEARS
    otherwise = Verdict.NOT_ENOUGH_DATA if few else Verdict.NO_EDGE
    beyond = Gate("Beyond the luck of all trials", _survives_luck(evidence), _luck(evidence), otherwise)
    timing = Gate("Better than random entries", _below(evidence.timing_p), _timing(evidence), otherwise)
    gates = [beyond, timing]
    if evidence.has_forecasts:
        unknown = "whether the forecasts earned it is unknown: the strategy was not run on shifted ones"
        ended_early = evidence.shifts > 0 and math.isnan(evidence.shifted_p)
        passed = False if ended_early else _below(evidence.shifted_p)
        gates.append(Gate("Earned by the forecasts", passed, _credit(evidence) if evidence.shifts else unknown, otherwise))
    if few and not all(gate.passed for gate in gates):
        years = f"{evidence.years:.1f} years would not show even a Sharpe ratio of 2; {MIN_YEARS} would"
        gates.insert(2, Gate("Enough years", False, years, otherwise))
    return gates


def _below(p: float) -> bool | None:
    return None if math.isnan(p) else p < LEVEL


def _enough(evidence: Evidence) -> str:
    if evidence.has_forecasts:
        return f"{evidence.independent_bars:,.0f} independent bars; {MIN_BARS} show an information coefficient of {ALARM_IC:.2f}"
    return f"{evidence.years:.1f} years; {MIN_YEARS} show a Sharpe ratio of 2"


def _too_short(evidence: Evidence) -> str:
    if evidence.has_forecasts and not evidence.independent_bars >= MIN_BARS:
        return (
            f"{_or_zero(evidence.independent_bars):.0f} independent bars cannot distinguish an information coefficient of {ALARM_IC:.2f}"
            f" from luck; {MIN_BARS} can"
        )
    if not evidence.has_forecasts and not evidence.years >= MIN_YEARS:
        return f"{evidence.years:.1f} years cannot distinguish a Sharpe ratio of 2 from luck; {MIN_YEARS} can"
    return ""


def _survives_luck(evidence: Evidence) -> bool:
    if evidence.trials is None or math.isnan(evidence.dsr):
        return evidence.psr > UNCOUNTED_CONFIDENCE
    return evidence.dsr >= CONFIDENCE


def _skill(evidence: Evidence) -> str:
    if evidence.skill_p < LEVEL:
        return f"the forecasts rank returns better than chance (rank IC {_or_zero(evidence.rank_ic):.3f}, p {_p(evidence.skill_p)})"
    return f"the forecasts do not rank returns better than chance (rank IC {_or_zero(evidence.rank_ic):.3f}, p {_p(evidence.skill_p)})"


def _money(evidence: Evidence) -> str:
    gained = "earned" if evidence.total_return > 0 else "did not earn"
    size = f"{evidence.total_return:+.1%} in {evidence.years:.1f} years, the position turned over {max(evidence.bets, 1.0):.0f} times"
    return f"after all costs the strategy {gained} money: {size}"


def _luck(evidence: Evidence) -> str:
    if math.isnan(evidence.sharpe):
        return "there is no Sharpe ratio that could be compared with luck"
    if evidence.trials is None or math.isnan(evidence.dsr):
        chance = f"the Sharpe ratio {evidence.sharpe:.2f} is above zero with probability {_share(evidence.psr)}"
        return f"trials unknown, DSR not computed; {chance}"
    tried = "one trial" if evidence.trials == 1 else f"{evidence.trials} trials"
    outcome = "is" if _survives_luck(evidence) else "is not"
    return (
        f"the Sharpe ratio {evidence.sharpe:.2f} {outcome} beyond the luck of {tried} on this data"
        f" (deflated probability {_against(evidence.dsr, CONFIDENCE)}, {CONFIDENCE:.0%} needed)"
    )


def _timing(evidence: Evidence) -> str:
    if math.isnan(evidence.timing_p):
        return "random entries of equal turnover could not be compared"
    outcome = "beats" if evidence.timing_p < LEVEL else "does not beat"
    return f"the timing {outcome} random entries with the same number, length and cost of trades (p {_p(evidence.timing_p)})"


def _credit(evidence: Evidence) -> str:
    """What the strategy would have earned without the forecasts, in one sentence."""
    if math.isnan(evidence.shifted_return):
        runs = "run" if evidence.shifts == 1 else f"{evidence.shifts} runs"
        return f"the forecasts did not earn it: one of the first {runs} on the same forecasts shifted in time did at least as well"
    outcome = "is" if evidence.shifted_p < LEVEL else "is not"
    runs = f"the mean of {evidence.shifts} runs on the same forecasts shifted in time"
    own = "it has no Sharpe ratio, which" if math.isnan(evidence.sharpe) else f"its {evidence.sharpe:.2f}"
    return (
        f"without the forecasts the strategy would have earned {evidence.shifted_return:+.1%} (Sharpe ratio {evidence.shifted_sharpe:.2f},"
        f" {runs}); with them {own} {outcome} beyond that (p {_p(evidence.shifted_p)})"
    )


def _p(value: float) -> str:
    return "unknown" if math.isnan(value) else "below 0.001" if value < 0.001 else f"{value:.3f}"


def _against(value: float, needed: float) -> str:
    """A probability that falls short is never rounded up to what is needed."""
    if value < needed <= round(value, 3):
        return f"{math.floor(1e4 * value) / 100:.2f} %"
    return _share(value)


def _share(value: float) -> str:
    """A probability as a percentage that is rounded neither to certainty nor to zero."""
    if math.isnan(value):
        return "unknown"
    return "above 99.9 %" if value > 0.999 else "below 0.1 %" if value < 0.001 else f"{100 * value:.1f} %"


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
