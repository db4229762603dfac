"""The look-ahead proofs as a function."""

from __future__ import annotations

import backtrader as bt

from forwardtrader.backtest.api.candles import Candles, Moment, histories, moment
from forwardtrader.backtest.api.facts import Beside, Funding, beside, finer_step
from forwardtrader.backtest.api.forecasts import WalkForward, request_for
from forwardtrader.backtest.audit import proofs
from forwardtrader.backtest.audit.check_report import CheckReport
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.user_code.declared import spec_of


def audit(
    walk: WalkForward, candles: Candles, strategy: type[bt.Strategy] | str | None = None, *, start: Moment, end: Moment | None = None,
    marks: Candles | None = None, funding: Funding | None = None, detail: Candles | str | None = None, detail_marks: Candles | None = None,
) -> CheckReport:  # fmt: skip
    """Proofs against look-ahead in features, models, factors and strategy: everything is computed again on candles cut off or changed.

    Args:
        walk: says what is trained; it need not be fitted.
        strategy: whose orders are looked at; ours where None.
        start: the first day traded; the newest days of the span are used.
        marks, funding, detail, detail_marks: as `backtest` takes them.

    Returns:
        One row a proof; `print(report)` shows it. One that could not be tested clears nothing.
    """
    markets = histories(candles)
    last = max(history.candles.index[-1] for history in markets.values()) + next(iter(markets.values())).timeframe.delta
    spec = "" if strategy is None else strategy if isinstance(strategy, str) else spec_of(strategy)
    given = Beside(marks=marks, funding=funding, detail=detail, detail_marks=detail_marks)
    ends = moment(end if end is not None else last)
    request = request_for(walk.settings, markets, moment(start), ends, strategy=spec, audit=True, detail=finer_step(detail))
    markets = beside(markets, given, request, SystemClock())
    found = tuple(proofs.audit(request, markets, lambda what: None))
    return CheckReport(walk.settings.models.forecaster, found)
