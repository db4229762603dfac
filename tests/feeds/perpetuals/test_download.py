"""`forwardtrader download` of perpetuals from the practice exchange, by the real ccxt classes: marks and funding, whole and in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import forwardtrader as ft
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.store import MARK, CandleKey, CandleStore
from forwardtrader.feeds.history.download import main
from forwardtrader.feeds.perpetuals.download import download_funding
from forwardtrader.feeds.perpetuals.funding_store import FundingStore
from forwardtrader.feeds.venues.exchange import CcxtVenue
from forwardtrader.feeds.venues.port import stored_under
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.server import SandboxServer
from tests.strategies.detail.market import PRICES, fine_candles

PERP = "BTC/USDT:USDT"
DAYS = 110  # of hours: three pages of candles
FINE = fine_candles(24 * DAYS, 1, 3)
MARKS = (FINE[PRICES] * 1.001).round(2).assign(volume=0.0)
BEGIN, END = FINE.index[0], FINE.index[-1] + pd.Timedelta("1h")


def settled(*parts: tuple[str, str, str]) -> pd.Series[float]:
    """Rates over stretches of time: from, up to, every."""
    index = (
        pd.DatetimeIndex([])
        .tz_localize("UTC")
        .append([pd.date_range(*span, freq=every, tz="UTC", inclusive="left") for *span, every in parts])
    )
    return pd.Series(np.random.default_rng(len(index)).normal(1e-4, 3e-4, len(index)).round(8), index=index, name="rate")


RATES = {
    "8h": settled(("2022-01-01", "2022-04-21", "8h")),
    "4h": settled(("2022-01-01", "2022-04-21", "4h")),
    "1h": settled(("2022-01-01", "2022-04-21", "1h")),
    "8h, then 1h, an outage, 4h": settled(
        ("2022-01-01", "2022-01-20", "8h"), ("2022-01-20", "2022-02-01", "1h"), ("2022-03-20", "2022-04-21", "4h")
    ),
}  # fmt: skip


@contextmanager
def practice(folder: Path, protocol: str, rates: pd.Series[float], *, marks: pd.DataFrame = MARKS, hours: int = 8) -> Iterator[str]:
    """The address of a practice exchange whose market stands still at the end of 110 days."""
    FINE.to_csv(folder / "market.csv", date_format="%Y-%m-%dT%H:%M:%S")
    marks.to_csv(folder / "marks.csv", date_format="%Y-%m-%dT%H:%M:%S")
    table = pd.DataFrame({"timestamp": rates.index.as_unit("ms").asi8 + 2, "rate": [f"{rate:.8f}" for rate in rates]})
    table.to_csv(folder / "rates.csv", index=False)
    settings = {
        "protocol": protocol,
        "symbols": [PERP],
        "market": [f"{PERP}={folder / 'market.csv'}"],
        "timeframe": "1h",
        "speed": "lockstep",
    }
    own = {"mark": {PERP: str(folder / "marks.csv")}, "funding": {PERP: str(folder / "rates.csv")}, "funding_hours": hours}
    server = SandboxServer(SandboxSettings.model_validate({**settings, **own, "history": len(FINE) - 1, "waits": True}))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    try:
        yield str(server.described()["url"])
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def download(exchange: str, url: str, store: Path, first: str = "2022-01-01", last: str = "2022-04-19") -> int:
    own = ["--set", f"feeds.exchange_url={url}", "--set", f"feeds.store_path={store}"]
    return main(["--symbol", PERP, "--exchange", exchange, "--timeframe", "1h", "--from", first, "--to", last, *own])


def assert_whole(store: Path, name: str, rates: pd.Series[float], upto: str = "2022-04-20") -> None:
    kept = FundingStore(store).read(name, PERP)
    wanted = rates.loc[rates.index < pd.Timestamp(upto, tz="UTC")]
    assert kept.index.tolist() == wanted.index.tolist()
    np.testing.assert_allclose(kept.to_numpy(), wanted.to_numpy(), atol=1e-12)


@pytest.mark.parametrize(("exchange", "protocol"), [("binance", "binance"), ("bybit", "bybit")])
@pytest.mark.parametrize("every", ["8h", "1h", "8h, then 1h, an outage, 4h", pytest.param("4h", marks=pytest.mark.slow)])
def test_every_settlement_and_every_mark_is_downloaded(tmp_path: Path, exchange: str, protocol: str, every: str) -> None:
    with practice(tmp_path, protocol, RATES[every]) as url:
        name = stored_under(exchange, url)
        assert download(exchange, url, tmp_path / "store") == 0
    assert_whole(tmp_path / "store", name, RATES[every])
    store = CandleStore(tmp_path / "store", SystemClock())
    kept, candles = (store.load(CandleKey(name, PERP, Timeframe.parse("1h"), kind)) for kind in (MARK, ""))
    wanted = MARKS.loc[: pd.Timestamp("2022-04-19 23:00", tz="UTC")]
    np.testing.assert_allclose(kept[PRICES].to_numpy(), wanted[PRICES].to_numpy())
    assert kept.index.tolist() == wanted.index.tolist() == candles.index.tolist()


def test_a_download_goes_on_where_it_stopped_and_reaches_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with practice(tmp_path, "bybit", rates := RATES["1h"]) as url:
        for first, last in (("2022-02-01", "2022-02-20"), ("2022-02-01", "2022-04-01"), ("2022-01-05", "2022-04-19")):
            assert download("bybit", url, tmp_path / "store", first, last) == 0
    assert_whole(tmp_path / "store", stored_under("bybit", url), rates.loc["2022-01-05":])
    assert "BTC/USDT:USDT funding: 2520 settlements" in capsys.readouterr().out


def test_years_before_the_listing_are_passed_over(tmp_path: Path) -> None:
    with practice(tmp_path, "bybit", RATES["8h"]) as url:
        venue, store = CcxtVenue("bybit", base_url=url), FundingStore(tmp_path / "store")
        first, last = BEGIN.to_pydatetime() - timedelta(days=200), END.to_pydatetime()
        added = download_funding(venue, ("bybit", PERP), (first, last), store, lambda ask: ask())
    assert added == len(store.read("bybit", PERP)) == DAYS * 3


def test_the_loaders_of_notebooks_download_and_the_run_is_that_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with practice(tmp_path, "binance", RATES["4h"]) as url:
        monkeypatch.setattr("forwardtrader.feeds.venues.exchange.CcxtVenue", _at(url))
        monkeypatch.setattr("forwardtrader.feeds.venues.reach.reachable", lambda endpoints: [True for _ in endpoints])
        span: dict[str, Any] = {"start": "2022-02-01", "end": "2022-04-01", "source": "download"}
        marks, funding = ft.load_marks(PERP, **span), ft.load_funding(PERP, **span)
    wanted = RATES["4h"].loc["2022-02-01":"2022-03-31"]
    assert funding.index.tolist() == wanted.index.tolist() and funding.attrs["source"] == "binance"
    np.testing.assert_allclose(marks.to_numpy(), MARKS.loc["2022-02-01":"2022-03-31", PRICES].to_numpy())
    assert ft.load_funding(PERP, source="store").equals(funding)


def _at(url: str) -> Any:
    """The venue's class, which finds it on this machine."""

    class Here(CcxtVenue):
        def __init__(self, name: str, *, timeout_s: float = 10.0, base_url: str = "", price: str = "") -> None:
            super().__init__(name, timeout_s=timeout_s, base_url=url, price=price)

    return Here


def test_a_settlement_a_moment_before_or_after_the_edge_of_a_page_is_neither_lost_nor_counted_twice(tmp_path: Path) -> None:
    at = [datetime(2022, 1, 31, 8, tzinfo=BEGIN.tzinfo) + timedelta(milliseconds=ms) for ms in (-28_800_000, -40, 28_800_030)]

    class Venue:
        def funding_page(self, symbol: str, since: datetime, until: datetime) -> pd.Series[float]:
            asked = [moment for moment in at if since <= moment < until]
            return pd.Series(1e-4, index=pd.DatetimeIndex(asked, tz="UTC").round("min"), name="rate")

    store = FundingStore(tmp_path)
    wanted = datetime(2022, 1, 1, 8, tzinfo=BEGIN.tzinfo), datetime(2022, 3, 1, tzinfo=BEGIN.tzinfo)
    assert download_funding(Venue(), ("x", PERP), wanted, store, lambda ask: ask()) == 3
    assert [f"{moment:%d %H:%M}" for moment in store.read("x", PERP).index] == ["31 00:00", "31 08:00", "31 16:00"]
