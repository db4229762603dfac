"""The scores of forecasts, as in `run.json`."""

from __future__ import annotations

from forwardtrader.reports.sections.section import Interval, Number, Section


class ForecastScores(Section):
    """Out-of-sample scores of one forecaster; shares are 0..1, each `*_ci` is [low, high]."""

    n: int = 0
    ic: Number = None
    rank_ic: Number = None
    accuracy: Number = None
    accuracy_top10: Number = None
    loss_skill: Number = None
    coverage_90: Number = None
    ic_ci: Interval = None
    rank_ic_ci: Interval = None
    accuracy_ci: Interval = None
    accuracy_top10_ci: Interval = None
    loss_skill_ci: Interval = None
    coverage_90_ci: Interval = None


class DieboldMariano(Section):
    """The loss of the forecaster that is traded against another's: negative favours the former."""

    statistic: Number = None
    p: Number = None


class AcrossSymbols(Section):
    """Whether, of all symbols at a bar, those that were forecast to do better did: the mean over bars of the rank IC across symbols.

    `icir` is that mean in standard deviations of one bar's, `p` two-sided; only bars with three symbols and more count.
    """

    rank_ic: Number = None
    rank_ic_ci: Interval = None
    icir: Number = None
    p: Number = None
    bars: int = 0
    symbols: int = 0


class SymbolForecast(Section):
    """The scores of the forecaster that is traded on one symbol, beside those of the others.

    `name` is that forecaster's, whatever the key of its scores says; `baselines` also holds the forecasters compared; `confidence_set` has
    the p-value of each in the model confidence set, where forecasters were compared; `across_symbols` is of all symbols of the run.
    """

    name: str = "lstm"
    confidence_set: dict[str, Number] = {}
    lstm: ForecastScores | None = None
    baselines: dict[str, ForecastScores] = {}
    diebold_mariano: dict[str, DieboldMariano] = {}
    across_symbols: AcrossSymbols | None = None
