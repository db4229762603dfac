"""`check_forecaster`: what is tried on a user's forecaster before anything is made of its forecasts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import pandas as pd

from forwardtrader.backtest.audit.check_report import CheckReport, checked_candles
from forwardtrader.backtest.audit.forecaster_bench import ForecasterBench
from forwardtrader.backtest.audit.forecaster_proofs import PROOFS
from forwardtrader.core.errors import ConfigError, ForecasterChecksFailed, ForecasterFailed, TooLittleHistory, TradingError
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.core.user_code.errors import owned_errors
from forwardtrader.feeds.history.sample_market import first_bar, sample_candles
from forwardtrader.models.checks.look_ahead import LookAheadResult, Proof, untested
from forwardtrader.models.port.base_forecaster import BaseForecaster
from forwardtrader.models.port.prototype import prototype

_SAMPLE: Final = timedelta(days=70)
_NEEDS_NO_FIT: Final = ("parameters", "answers")


def check_forecaster(
    forecaster: BaseForecaster | str,
    candles: pd.DataFrame | None = None,
    *,
    horizons: tuple[int, ...] = (1,),
    features: tuple[str, ...] = (),
    seed: int = 0,
    raise_on_failure: bool = False,
) -> CheckReport:
    """Fit a forecaster to a short market and ask it in several ways that must not make a difference, and say which of them do.

    Args:
        forecaster: one with its parameters, or the name of one, or `module:Class` or `path/to/file.py:Class`.
        candles: open, high, low, close, volume (any case), indexed by bar-open time (UTC where no zone is named); 70 days of hourly bars
            of the sample market where None. The newest 96 are forecast, the others learned from.
        horizons: bars ahead that are forecast.
        features: as in `models.features`: names of the catalogue, and yours as `MODULE:NAME`; the whole catalogue where none are named.
        seed: of the sample market.
        raise_on_failure: raise where a check fails. One that is not testable raises nothing.

    Raises:
        ForecasterChecksFailed: an AssertionError too; the message names every check that failed, and what to do.
        CandleFileInvalid: the candles are none.
        TooLittleHistory: they are too few; the message says how many are needed.
        ConfigError: the forecaster cannot be loaded.
    """
    found = _loaded(forecaster)
    bars, timeframe = checked_candles(_sample(seed) if candles is None else candles)
    bench = ForecasterBench(found, bars, timeframe, horizons, features)
    report = CheckReport(type(found).__name__, tuple(_checks(bench)))
    if raise_on_failure and report.failed:
        raise ForecasterChecksFailed(report.told)
    return report


def _loaded(forecaster: object) -> BaseForecaster:
    if isinstance(forecaster, BaseForecaster):
        return forecaster
    if not isinstance(forecaster, str):
        shown = forecaster.__name__ if isinstance(forecaster, type) else type(forecaster).__name__
        raise ConfigError(f"check_forecaster: {shown} is no forecaster; give it one with its parameters, as check_forecaster({shown}())")
    found = prototype(ModelSettings(forecaster=forecaster))
    if found is None:
        raise ConfigError("check_forecaster: the LSTM is audited with `forwardtrader backtest --audit`; name another forecaster")
    return found


def _sample(seed: int) -> pd.DataFrame:
    hour = Timeframe.parse("1h")
    return sample_candles("BTC/USDT", hour, seed=seed, until=first_bar(hour) + _SAMPLE)


def _checks(bench: ForecasterBench) -> Iterator[Proof]:
    """Each check in its turn; without an answer there is nothing more to be tried."""
    answered = True
    for name in PROOFS:
        if answered or name in _NEEDS_NO_FIT:
            found = proved(name, bench)
            answered = answered and not (name == "answers" and found.result is LookAheadResult.FAILED)
        else:
            found = untested(name, "a fold cannot be fitted and asked")
        yield found


def proved(name: str, bench: ForecasterBench) -> Proof:
    """One of the checks; whatever the forecaster raises in it, it failed.

    Raises:
        TooLittleHistory: the candles are too few.
    """
    try:
        with owned_errors(type(bench.prototype).__name__, ForecasterFailed):
            return PROOFS[name](bench)
    except TooLittleHistory:
        raise
    except TradingError as error:
        return Proof(name=name, passed=False, detail=f"{error}{_hint(str(error))}")


def _hint(text: str) -> str:
    return "; the panel is shared and read-only: work on a copy, as panel.X.copy()" if "read-only" in text else ""
