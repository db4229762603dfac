"""Backtests as objects, with the verdict, the tables and the pages of the command."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import backtrader as bt
import pandas as pd

from forwardtrader.backtest.api.candles import Candles, Moment, histories, moment
from forwardtrader.backtest.api.facts import Beside, Funding, beside, finer_step
from forwardtrader.backtest.api.forecasts import WalkForward, end_of, request_for, unheard
from forwardtrader.backtest.checks import check
from forwardtrader.backtest.forecasting import Forecasts, tables, untrained
from forwardtrader.backtest.job import assembled, credited, judged, with_judgement
from forwardtrader.backtest.simulation import simulate
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.config import changed
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import Settings
from forwardtrader.core.user_code.declared import spec_of
from forwardtrader.feeds.history.needs import History
from forwardtrader.reports import artefacts
from forwardtrader.reports.artefacts import FORECAST_COLUMNS, RunArtefacts
from forwardtrader.reports.rebuild import rebuild
from forwardtrader.strategies.user_code.strategy_class import with_params

_SHOWN: Final = ("total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "trades", "turnover", "fees", "exposure")


@dataclass(frozen=True)
class Run:
    """A finished backtest.

    Attributes:
        artefacts: its manifest (what `run.json` holds) and tables.
    """

    artefacts: RunArtefacts

    @property
    def verdict(self) -> str:
        """`edge`, `no edge` or `not enough data`."""
        return str(self.artefacts.manifest.verdict)

    @property
    def reasons(self) -> list[str]:
        """The findings behind the verdict, in order."""
        return list(self.artefacts.manifest.verdict_reasons)

    @property
    def stats(self) -> pd.DataFrame:
        """Return, risk and cost of the strategy and of each benchmark, a column each. Shares are 0..1, ratios annual from daily returns."""
        manifest = self.artefacts.manifest
        accounts = ({"strategy": manifest.strategy} if manifest.strategy else {}) | manifest.benchmark
        return pd.DataFrame({name: {key: getattr(each, key) for key in _SHOWN} for name, each in accounts.items()})

    @property
    def refused(self) -> dict[str, dict[str, int]]:
        """How many orders came to nothing, by symbol and reason."""
        strategy = self.artefacts.manifest.strategy
        return {} if strategy is None else {symbol: dict(reasons) for symbol, reasons in strategy.refused.items()}

    @property
    def fills(self) -> pd.DataFrame:
        """One row a fill: timestamp (UTC), symbol, side, size, price, fee, fee_currency, order_ref, reason."""
        return self.artefacts.fills

    @property
    def equity(self) -> pd.DataFrame:
        """Equity, cash, exposure and closes at each bar's close, in quote currency, indexed by bar-open time (UTC)."""
        return self.artefacts.equity

    @property
    def forecasts(self) -> pd.DataFrame:
        """The forecasts of the days traded, as `WalkForward.fit_predict` has them."""
        return self.artefacts.forecasts

    def report(self, folder: str | Path) -> Path:
        """Write run.json, the tables, the run page and the QuantStats tearsheet into a new folder; returns the run page.

        Raises:
            InvalidSetting: the folder holds something already.
        """
        path = Path(folder)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InvalidSetting(f"{path} is not empty; name another folder")
        path.mkdir(parents=True, exist_ok=True)
        named = self.artefacts.manifest.model_copy(update={"run_id": path.name})
        artefacts.save(path, replace(self.artefacts, manifest=named))
        rebuild(path)
        return path / "index.html"

    def _repr_html_(self) -> str:
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        table = self.stats.to_html(float_format=lambda value: f"{value:,.3f}", border=0)
        return f"<p><b>{html.escape(self.artefacts.manifest.title)}: {html.escape(self.verdict)}</b></p><ul>{reasons}</ul>{table}"

    def __repr__(self) -> str:
        return f"<Run {self.artefacts.manifest.title}: {self.verdict}>"


def backtest(
    strategy: type[bt.Strategy] | str | None, candles: Candles, *, forecasts: WalkForward | None = None,
    params: Mapping[str, Any] | None = None, start: Moment | None = None, end: Moment | None = None, cash: float = 10_000.0,
    fee_bps: float = 10.0, slippage_bps: float = 2.0, settings: Mapping[str, Any] | None = None, marks: Candles | None = None,
    funding: Funding | None = None, detail: Candles | str | None = None, detail_marks: Candles | None = None,
) -> Run:  # fmt: skip
    """Trade candles through Backtrader with costs and the market's rules, and judge what came of it.

    Args:
        strategy: any Backtrader strategy, or `MODULE:CLASS`; None for the one that comes along (`LSTMStrategy`), which needs forecasts.
        forecasts: a fitted walk-forward over the same candles, whose forecasts `LSTMForecast` shows; None for a strategy that reads none.
        params: parameters of the strategy.
        start: the first bar traded; where None the first one forecast, or the first candle. Earlier candles warm indicators up.
        end: not traded from here on.
        cash: of the account, in quote currency; fee_bps, slippage_bps: per side, in basis points.
        settings: any other settings, as `{"risk.max_drawdown": 0.2}`.
        marks: mark prices of a perpetual (`load_marks`), by symbol where there are several. Where they are not known the last price stands
            for them, and candles of the sample market have its own; the run says so.
        funding: its funding rates (`load_funding`), a series by time of settlement; where they are not known a prior stands for them
            (`feeds.funding_prior_bps`), and the run says so.
        detail: finer candles, by which resting orders, stops and liquidations go inside each bar, by symbol where there are several; a
            length (`"5m"`) where the candles are of the sample market.
        detail_marks: mark prices of the finer candles.

    Raises:
        ConfigError: the strategy cannot be loaded or raised an exception (its line is named), or a setting is wrong.
        CandleFileInvalid: candles, marks or funding cannot be used; the message names symbol and row.
    """
    markets = histories(candles)
    if forecasts is None and strategy is None:
        raise InvalidSetting("LSTMStrategy trades forecasts; pass forecasts=, a fitted WalkForward, or a strategy of your own")
    if forecasts is not None:
        markets = _forecast(forecasts, markets)
    own = {"strategies.cash": cash, "strategies.fee_bps": fee_bps, "strategies.slippage_bps": slippage_bps} | dict(settings or {})
    given = Beside(
        marks=marks, funding=funding, detail=own.pop("feeds.detail", None) if detail is None else detail, detail_marks=detail_marks
    )
    whole = changed(Settings() if forecasts is None else forecasts.settings, own)
    first = moment(start) if start is not None else forecasts.fitted.request.first if forecasts else _first(markets)
    spec = "" if strategy is None else strategy if isinstance(strategy, str) else spec_of(strategy)
    spec = with_params(
        spec, [f"{name}={value!r}" if not isinstance(value, str) else f"{name}={value}" for name, value in (params or {}).items()]
    )
    ends = moment(end) if end is not None else end_of(markets)
    request = request_for(whole, markets, first, ends, strategy=spec, detail=finer_step(given.detail))
    check(request)
    markets = beside(markets, given, request, SystemClock())
    found = _without_forecasts(request.settings, markets) if forecasts is None else _with_forecasts(forecasts, request)
    record = simulate(markets, found, request)
    run = assembled(request, markets, found, record, SystemClock())
    judgement = judged(request, markets, found, run, reads_forecasts=record.reads_forecasts)
    return Run(with_judgement(run, credited(request, markets, found, run, judgement, unheard), {}))


def compare(runs: Mapping[str, Run] | Sequence[Run]) -> pd.DataFrame:
    """Several runs side by side: verdict and statistics, a column each. Choosing the best of many is luck in part: mind the verdicts."""
    named = dict(runs) if isinstance(runs, Mapping) else {f"run {number}": run for number, run in enumerate(runs, 1)}
    columns = {}
    for name, run in named.items():
        strategy = run.artefacts.manifest.strategy
        columns[name] = {"verdict": run.verdict} | (
            {key: getattr(strategy, key) for key in (*_SHOWN, "psr", "dsr", "trials")} if strategy else {}
        )
    return pd.DataFrame(columns)


def _with_forecasts(forecasts: WalkForward, request: Any) -> Forecasts:
    return tables(forecasts.fitted.forecasts.walk, request, unheard)


def _forecast(forecasts: WalkForward, markets: Mapping[str, History]) -> dict[str, History]:
    """The markets that the forecasts are of. Raises InvalidSetting where they were made on other candles."""
    fitted = forecasts.fitted.markets
    if any(fitted[s].fingerprint != history.fingerprint for s, history in markets.items() if s in fitted):
        raise InvalidSetting("the forecasts were made on other candles; call fit_predict on these")
    return {symbol: markets.get(symbol, history) for symbol, history in fitted.items()}


def _without_forecasts(settings: Settings, markets: Mapping[str, History]) -> Forecasts:
    """A walk-forward without models, for a strategy that asks for no forecast."""
    none = InvalidSetting("the strategy reads forecasts; pass forecasts=, a fitted WalkForward over these candles")
    return Forecasts(untrained(markets, settings.models, none), pd.DataFrame(columns=FORECAST_COLUMNS), {})


def _first(markets: Mapping[str, History]) -> Any:
    return max(history.candles.index[0] for history in markets.values()).to_pydatetime()
