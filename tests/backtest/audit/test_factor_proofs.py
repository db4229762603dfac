"""A factor joined on its reference date is caught and named; honest ones pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from forwardtrader.backtest.audit.factor_proofs import factor_proofs, knows_the_next_move, published_later
from forwardtrader.core.rooms.factor import FILES, KINDS, OF_CANDLES, FactorSettings
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors import book as factor_book
from forwardtrader.feeds.factors import calendar as factor_calendar
from forwardtrader.feeds.factors.book import FactorBook, read_factor
from forwardtrader.feeds.factors.calendar import approach
from forwardtrader.feeds.factors.kinds import delay_of
from forwardtrader.feeds.factors.record import FactorRecord, Fetched
from forwardtrader.feeds.factors.series import NEVER, FactorSource, Known
from forwardtrader.models.checks.look_ahead import Leak, LookAheadResult
from tests.real_data import real_candles
from tests.reports.simulated import candles

HOUR = Timeframe.parse("1h")
BARS = candles(120 * 24, seed=4)


def written(path: Path, times: pd.DatetimeIndex, values: np.ndarray, column: str = "mood") -> Path:
    pd.DataFrame({"timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"), column: values}).to_csv(path, index=False)
    return path


def diary(folder: Path) -> Path:
    """A value for each day that follows the prices of that very day."""
    closes = np.log(BARS["close"]).resample("1D").last()
    noise = np.random.default_rng(0).normal(0, 0.3 * closes.diff().std(), len(closes))
    return written(folder / "mood.csv", pd.DatetimeIndex(closes.index), np.cumsum(closes.diff().fillna(0.0).to_numpy() + noise))


def test_a_day_joined_when_it_begins_is_caught_and_named(tmp_path: Path) -> None:
    early = read_factor(FactorSettings(file=str(diary(tmp_path)), known_after=timedelta(0)))
    proof = knows_the_next_move(early, BARS, HOUR)
    assert (proof.passed, proof.leak, proof.offenders) == (False, Leak.REFERENCE_DATE, ("mood",))
    assert "correct known_after" in proof.detail
    honest = read_factor(FactorSettings(file=str(diary(tmp_path)), known_after=timedelta(days=1)))
    assert knows_the_next_move(honest, BARS, HOUR).passed


def test_another_markets_bar_joined_at_its_open_is_caught(tmp_path: Path) -> None:
    BARS.rename_axis("timestamp").reset_index().to_csv(tmp_path / "twin.csv", index=False)
    early = read_factor(FactorSettings(file=str(tmp_path / "twin.csv"), known_after=timedelta(0)))
    proof = knows_the_next_move(early, BARS, HOUR)
    assert (proof.passed, proof.offenders) == (False, ("twin",))
    assert "known 1:00:00 after it at the earliest" in proof.detail
    assert knows_the_next_move(read_factor(FactorSettings(file=str(tmp_path / "twin.csv"))), BARS, HOUR).passed


def test_a_join_by_reference_date_in_the_code_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factor = read_factor(FactorSettings(file=str(diary(tmp_path)), known_after=timedelta(days=1)))
    assert published_later(factor, BARS, HOUR).passed

    def by_reference_date(source: FactorSource) -> Known:
        told = source.observations().sort_values("describes")
        since = pd.DatetimeIndex(told["describes"] + HOUR.delta).as_unit("ns").asi8
        return Known(np.append(NEVER, since), np.append(np.nan, told["value"]))

    monkeypatch.setattr(factor_book.Factor, "known", property(lambda factor: by_reference_date(factor.source)))
    proof = published_later(factor, BARS, HOUR)
    assert (proof.passed, proof.leak) == (False, Leak.REFERENCE_DATE)
    assert set(proof.offenders) <= {"factor_mood:standing", "factor_mood:change_1", "factor_mood:change_24"}
    assert proof.detail.startswith("factor mood: factor_mood:")


def test_the_publication_of_a_factor_without_any_news_is_not_testable(tmp_path: Path) -> None:
    days = pd.date_range("2022-01-01", periods=5, freq="D", tz=UTC)
    factor = read_factor(FactorSettings(file=str(written(tmp_path / "few.csv", days, np.arange(5.0))), known_after=timedelta(days=1)))
    proof = knows_the_next_move(factor, BARS, HOUR)
    assert (proof.result, proof.passed) == (LookAheadResult.NOT_TESTABLE, False)
    assert "4 changes of its value in these bars are too few, 30 are needed" in proof.detail


def test_a_factor_that_always_changes_alike_is_not_testable(tmp_path: Path) -> None:
    days = pd.date_range("2022-01-01", periods=100, freq="D", tz=UTC)
    factor = read_factor(FactorSettings(file=str(written(tmp_path / "line.csv", days, np.arange(100.0))), known_after=timedelta(days=1)))
    assert knows_the_next_move(factor, BARS, HOUR).result is LookAheadResult.NOT_TESTABLE


STEPS = {"fear_greed": "1D", "funding": "8h"}
FETCHED = [kind for kind in KINDS if kind not in FILES]


def recorded(folder: Path, kind: str, *, stamped: str = "left", **said: object) -> FactorSettings:
    """A factor with a value at each hour, day or settlement that follows the prices of that very time."""
    asked = {"kind": kind, "symbol": "BTC/USDT" if kind in OF_CANDLES else "BTC/USDT:USDT", **said}
    [entry] = FeedSettings.model_validate({"factors": [asked], "factor_path": str(folder)}).located_factors
    closes = np.log(BARS["close"]).resample(STEPS.get(kind, "1h"), label=stamped).last()
    values = np.cumsum(closes.diff().fillna(0.0).to_numpy() + np.random.default_rng(0).normal(0, 0.3 * closes.diff().std(), len(closes)))
    rows = zip(pd.DatetimeIndex(closes.index).as_unit("ns").asi8.tolist(), values.tolist(), strict=True)
    record = FactorRecord(Path(entry.file))
    record.append(Fetched.of([(at, value, 0) for at, value in rows]), delay_of(entry), datetime.now(UTC), live=False)
    return entry


@pytest.mark.parametrize("kind", FETCHED)
def test_a_factor_of_any_kind_passes_and_is_caught_where_it_is_joined_on_its_reference_time(tmp_path: Path, kind: str) -> None:
    web: dict[str, object] = {"name": "x", "column": "v", "url": "https://a/b"} if kind == "json" else {}
    delay = {"known_after": "1h"} if kind == "json" else {}
    # A funding rate is stamped with its settlement, when it is known; it is early where it is stamped with the begin of its eight hours.
    honest = recorded(tmp_path / "honest", kind, stamped="right" if kind == "funding" else "left", **web, **delay)
    early = recorded(tmp_path / "early", kind, **web, known_after="0h")
    assert published_later(read_factor(honest), BARS, HOUR).passed
    assert knows_the_next_move(read_factor(honest), BARS, HOUR).passed
    proof = knows_the_next_move(read_factor(early), BARS, HOUR)
    assert (proof.passed, proof.leak) == (False, Leak.REFERENCE_DATE)


def test_a_calendar_passes_and_is_caught_where_events_are_used_before_they_are_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = pd.date_range(BARS.index[0] + timedelta(days=40), periods=12, freq="5D")
    told = [f"{at.isoformat()},{(at - timedelta(days=n % 3, hours=7)).isoformat()}" for n, at in enumerate(events)]
    (tmp_path / "events.csv").write_text("\n".join(["timestamp,known_at", *told]))
    settings = FactorSettings(kind="calendar", file=str(tmp_path / "events.csv"))
    assert [(proof.name, proof.passed) for proof in factor_proofs(FactorBook([settings], HOUR), BARS, HOUR)] == [("publication", True)]

    def by_reference_time(events: NDArray[np.int64], known: NDArray[np.int64], name: str) -> pd.DataFrame:
        return approach(events, np.minimum(known, events - 168 * 3_600_000_000_000), name)

    monkeypatch.setattr(factor_calendar, "approach", by_reference_time)
    proof = published_later(read_factor(settings), BARS, HOUR)
    assert (proof.passed, proof.leak) == (False, Leak.REFERENCE_DATE)


def test_real_factors_pass_and_fail_when_another_coins_bar_is_used_early() -> None:
    bars = pd.read_csv(real_candles("binance_spot_BTCUSDT_1h.csv.gz"), parse_dates=["timestamp"]).set_index("timestamp").iloc[-9000:]
    names = ("binance_perp_BTCUSDT_funding_8h.csv.gz", "fear_greed_daily.csv.gz", "binance_spot_ETHUSDT_1h.csv.gz")
    book = FactorBook([FactorSettings(file=str(real_candles(name))) for name in names], HOUR)
    assert [proof.detail for proof in factor_proofs(book, bars, HOUR) if not proof.passed] == []
    times = pd.read_csv(real_candles(names[2]))[["timestamp", "close"]].rename(columns={"close": "eth"})
    early = FactorSettings(file="unused", name="eth")
    stated = pd.DataFrame({"describes": pd.to_datetime(times["timestamp"], utc=True), "value": times["eth"]})
    factor = factor_book.Factor(
        source=factor_book.FactorTable("eth", stated.assign(known_at=stated["describes"])), max_age=timedelta(days=1), file=early.file,
        column="eth", known_after="0", spacing=timedelta(hours=1),
    )  # fmt: skip
    assert knows_the_next_move(factor, bars, HOUR).offenders == ("eth",)
