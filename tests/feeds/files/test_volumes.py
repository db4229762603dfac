"""Volume is that of the base asset; turnover is never taken for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.files.import_file import CandleFile, read_file
from tests.feeds.files.shapes.shape import HOURS

TURNOVER = HOURS["volume"] * (HOURS["high"] + HOURS["low"] + HOURS["close"]) / 3


def read(folder: object, symbol: str = "BTC/USDT", **columns: pd.Series) -> CandleFile:
    path = folder / "x.csv"  # type: ignore[operator]
    HOURS.drop(columns="volume").assign(**columns).to_csv(path)
    return read_file(path, symbol, Timeframe.parse("1h"), SystemClock())


@pytest.mark.parametrize(
    "name",
    [
        "Volume USDT", "Volume (USD)", "quote_volume", "quoteVolume", "quote asset volume", "Volume_(Currency)", "turnover", "volume_usd",
        "volumeto", "dollar volume", "Volume $", "USDT Volume", "Volume in USD", "notional",
    ],
)  # fmt: skip
def test_turnover_alone_is_divided_by_the_typical_price_and_told(name: str, tmp_path: object) -> None:
    found = read(tmp_path, **{name: TURNOVER})
    np.testing.assert_allclose(found.candles["volume"], HOURS["volume"], rtol=1e-12)
    assert "is money: volume is that divided by the typical price" in " ".join(found.notes)


@pytest.mark.parametrize("name", ["volume", "Vol.", "Volume BTC", "volume_xbt", "base_volume", "BTC Volume", "qty"])
@pytest.mark.parametrize("turnover", ["Volume USDT", "quote_volume", "amount"])
@pytest.mark.parametrize("first", [True, False])
def test_beside_turnover_the_volume_of_the_base_asset_is_taken(name: str, turnover: str, first: bool, tmp_path: object) -> None:
    columns = {name: HOURS["volume"], turnover: TURNOVER}
    found = read(tmp_path, **(columns if first else dict(reversed(columns.items()))))
    assert found.candles["volume"].tolist() == HOURS["volume"].tolist()


def test_names_that_prices_contradict_are_not_believed(tmp_path: object) -> None:
    found = read(tmp_path, volume=TURNOVER, amount=HOURS["volume"])
    assert found.candles["volume"].tolist() == HOURS["volume"].tolist()
    assert "'volume' is turnover, 'amount' the volume: prices say so" in found.notes
    odd = read(tmp_path, volume=HOURS["volume"], turnover=TURNOVER * 100)
    assert any("do not agree with the prices" in note for note in odd.notes)


@pytest.mark.parametrize("name", ["Volume ETH", "Volume EUR"])
def test_a_volume_of_another_asset_is_refused(name: str, tmp_path: object) -> None:
    with pytest.raises(CandleFileInvalid, match=f"{name} is no volume of BTC/USDT; name the right --symbol"):
        read(tmp_path, **{name: HOURS["volume"]})


def test_an_amount_may_be_shares_or_money(tmp_path: object) -> None:
    with pytest.raises(CandleFileInvalid, match="'amount' may be shares or money"):
        read(tmp_path, amount=HOURS["volume"])


def test_more_money_than_any_market_turns_over_is_told(tmp_path: object) -> None:
    assert any("more money than any market" in note for note in read(tmp_path, volume=HOURS["volume"] * 1e10).notes)
