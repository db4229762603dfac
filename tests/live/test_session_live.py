"""Sessions that send orders, on the practice exchange: what a real account would see."""

from __future__ import annotations

import signal
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError, InvalidSetting, VenueUnreachable
from forwardtrader.core.types import Forecast
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.command import compare
from forwardtrader.live.parity.record import read_session
from forwardtrader.live.parity.replay import replay
from forwardtrader.live.request import read_request
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.session import LiveSession
from forwardtrader.live.venue.identity import key_fingerprint
from forwardtrader.live.venue.keys import api_keys
from forwardtrader.models.forecaster import forecast_at, normal_frame
from tests import PATIENCE_S
from tests.live.recorded_session import wait_for
from tests.live.session_runner import SYMBOLS, Momentum, bars_of, request_for, run, start, wait_for_bars

REAL = ("--live", "--yes-real-money", "--yes-real-money", "--set", "strategies.slippage_bps=0")


def test_a_session_with_real_orders_fills_as_its_replay_does(tmp_path: Path) -> None:
    request = request_for(tmp_path, "one", 120, *REAL)
    assert run(request) == 0
    parity = compare(tmp_path / "one", SystemClock(), {symbol: Momentum() for symbol in SYMBOLS})
    assert parity.first_difference is None
    assert parity.compared["fills"] > 5
    with sqlite3.connect(tmp_path / "one" / "journal.db") as journal:
        assert journal.execute("select count(*) from executions").fetchone()[0] == len(pd.read_parquet(tmp_path / "one" / "fills.parquet"))


@pytest.mark.parametrize("exchange", ["binance", "bybit"])
def test_a_session_on_a_perpetual_has_the_cash_of_its_replay_funding_included(tmp_path: Path, exchange: str) -> None:
    symbol = "BTC/USDT:USDT"
    assert run(request_for(tmp_path, "one", 30, *REAL, "--exchange", exchange, symbols=(symbol,))) == 0
    parity = compare(tmp_path / "one", SystemClock(), {symbol: Momentum()})
    assert parity.first_difference is None
    assert parity.compared["fills"] > 5
    with sqlite3.connect(tmp_path / "one" / "journal.db") as journal:
        assert journal.execute("select count(*) from payments").fetchone()[0] > 1


@pytest.mark.slow
@pytest.mark.usefixtures("practice_ends")
def test_a_perpetual_session_that_is_killed_has_marks_and_funding_of_its_bars_and_equals_its_replay(tmp_path: Path) -> None:
    symbol, folder = "BTC/USDT:USDT", tmp_path / "one"
    flags = (*REAL, "--set", "strategies.max_drawdown=1")  # how many bars there are until the kill is the machine's affair
    process = start(tmp_path, "one", 0, *flags, symbols=(symbol,))
    wait_for((folder / "index.html").is_file)  # the last of all files, and the next job is seconds away
    process.kill()
    process.communicate()
    recorded = read_session(folder)
    (marks, funding), bars = recorded.facts[symbol], recorded.tables["equity"]["timestamp"]
    assert len(bars) > 8 and bars.isin(marks.index).all() and len(funding) >= len(bars) // 8
    first = compare(folder, SystemClock(), {symbol: Momentum()}).first_difference
    assert first is None or first.at >= bars.iloc[-1], "of the last bar and beyond not everything was written yet"
    assert run(request_for(tmp_path, "one", 10, *flags, symbols=(symbol,))) == 0
    parity = compare(folder, SystemClock(), {symbol: Momentum()})
    assert parity.first_difference is None and parity.bars >= len(bars) + 10
    assert len(read_session(folder).facts[symbol][0]) == parity.bars


def test_a_paper_session_on_a_perpetual_is_charged_what_the_venue_publishes(tmp_path: Path) -> None:
    symbol = "BTC/USDT:USDT"
    assert run(request_for(tmp_path, "one", 30, symbols=(symbol,))) == 0
    recorded = read_session(tmp_path / "one")
    marks, funding = recorded.facts[symbol]
    assert len(marks) == 30 and len(funding) > 2
    assert compare(tmp_path / "one", SystemClock(), {symbol: Momentum()}).first_difference is None
    dearer = replace(recorded, facts={symbol: (marks, funding * 100)})
    assert not replay(dearer, {symbol: Momentum()})["equity"]["equity"].equals(replay(recorded, {symbol: Momentum()})["equity"]["equity"])


MAKERS = (
    *("entry=maker", "spread_bps=60", "entry_deadline=2", "volume_share=0.00002"),
    *("holding=0d", "margin=0.1", "min_trade=0.05", "cooldown=0d"),
)


def test_a_session_whose_entries_rest_tells_how_they_were_filled(tmp_path: Path) -> None:
    """That they are filled as in a backtest is shown at the broker; here a report of one may come after the bar that filled it."""
    policy = [word for setting in MAKERS for word in ("--set", f"strategies.{setting}")]
    assert run(request_for(tmp_path, "one", 60, *REAL, *policy, symbols=SYMBOLS[:2])) == 0
    parity = compare(tmp_path / "one", SystemClock(), {symbol: Momentum() for symbol in SYMBOLS[:2]})
    assert parity.forecasts_equal
    assert parity.entries is not None
    assert parity.entries.rested > 2
    assert 0.0 < (parity.entries.fill_rate or 0.0) <= 1.0
    assert "entries rested as makers" in (tmp_path / "one" / "parity.html").read_text()


def test_what_entries_that_rest_have_laid_claim_to_is_spent_on_nothing_else(tmp_path: Path) -> None:
    policy = ("entry=maker", "spread_bps=60", "entry_deadline=6", "volume_share=0.00002", "portfolio_margin=0.05")
    flags = [word for setting in (*policy, "portfolio_min_trade=0.01") for word in ("--set", f"strategies.{setting}")]
    assert run(request_for(tmp_path, "one", 60, *REAL, *flags)) == 0
    orders = read_session(tmp_path / "one").tables["orders"]
    assert (orders["kind"] == "Limit").sum() > 8
    assert not orders["refusal"].str.contains("insufficient").any(), orders["refusal"].unique()


class ByTurns:
    """Up at even hours, down at odd ones, by more than any cost: every bar has its order."""

    horizon, warm_up = 1, 2

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        location = np.where(pd.DatetimeIndex(bars.index).hour % 2 == 0, 0.2, -0.2)
        return normal_frame(bars.index, location, np.full(len(bars), 0.02), "turns")

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        return forecast_at(self.batch(bars), len(bars) - 1, self.horizon)


@pytest.mark.parametrize("bars", [21, 22])  # the last order enters, or leaves
def test_what_the_last_bar_ordered_is_filled_beyond_the_replay_and_no_difference(tmp_path: Path, bars: int) -> None:
    request = request_for(tmp_path, "one", bars, *REAL, symbols=("BTC/USDT",))
    supply = FixedSupply({"BTC/USDT": ByTurns()})
    assert LiveSession(request, SystemClock(), SessionView(Console(), shown=False), supply=supply).run() == 0
    parity = compare(tmp_path / "one", SystemClock(), {"BTC/USDT": ByTurns()})
    assert (parity.first_difference, parity.bars) == (None, bars)
    assert parity.compared["fills"] >= bars - 2
    assert len(pd.read_parquet(tmp_path / "one" / "fills.parquet")) == parity.compared["fills"] + 1


@pytest.mark.parametrize("flags", [(), REAL])
def test_leverage_on_spot_is_refused_in_every_mode(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with pytest.raises(InvalidSetting, match="is traded without leverage"):
        run(request_for(tmp_path, "one", 3, *flags, "--set", "strategies.leverage=2", symbols=("BTC/USDT",)))


def test_a_session_with_real_orders_that_is_killed_finds_its_position_again(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 0, *REAL)
    wait_for_bars(tmp_path, "one", 50, process)
    process.kill()
    process.communicate()
    seen = bars_of(tmp_path, "one")
    assert run(request_for(tmp_path, "one", 30, *REAL)) == 0
    assert bars_of(tmp_path, "one") >= seen + 30
    with sqlite3.connect(tmp_path / "one" / "journal.db") as journal:
        rows = journal.execute("select client_id, count(*) from intents group by client_id having count(*) > 1").fetchall()
        unclear = journal.execute("select count(*) from intents where state in ('written', 'sent', 'unknown')").fetchone()[0]
    assert (rows, unclear) == ([], 0)


def test_real_orders_need_to_be_meant() -> None:
    with pytest.raises(ConfigError, match="--yes-real-money"):
        read_request(["--live"])
    with pytest.raises(ConfigError, match="exclude"):
        read_request(["--live", "--paper", "--yes-real-money"])
    assert read_request(["--live", "--sandbox"]).mode == "live"  # the practice exchange has no real money


def test_missing_keys_are_named_and_an_account_name_hides_its_key() -> None:
    with pytest.raises(ConfigError, match="KRAKEN_API_SECRET"):
        api_keys("kraken", {"KRAKEN_API_KEY": "k"})
    assert api_keys("kraken", {"KRAKEN_API_KEY": "k", "KRAKEN_API_SECRET": "s"}) == {"api_key": "k", "api_secret": "s"}
    assert "secretkey" not in key_fingerprint("binance", "secretkey")


def test_without_a_venue_nothing_is_traded_and_the_practice_exchange_is_named(tmp_path: Path) -> None:
    request = read_request(
        ["--session", "one", "--set", f"live.sessions_path={tmp_path}", "--set", "feeds.exchange_url=http://127.0.0.1:9", "--set",
         f"feeds.store_path={tmp_path / 'candles'}", "--set", f"live.state_path={tmp_path / 'state.db'}", "--set",
         "live.start_patience_s=1"]
    )  # fmt: skip
    with pytest.raises(VenueUnreachable, match="--sandbox"):
        run(request)


RESTING = """
import backtrader as bt

class Resting(bt.Strategy):
    def next(self):
        if self.data.is_current and not self.broker.get_orders_open():
            self.buy(size=0.001, exectype=bt.Order.Limit, price=self.data.close[0] * 0.5)
"""


@pytest.mark.parametrize(("policy", "left"), [("keep", 1), ("cancel", 0)])
def test_orders_that_rest_are_kept_or_taken_back_when_a_session_is_stopped(tmp_path: Path, policy: str, left: int) -> None:
    (tmp_path / "resting.py").write_text(RESTING)
    more = ("--strategy", f"{tmp_path / 'resting.py'}:Resting", "--set", f"live.orders_at_stop={policy}")
    process = start(tmp_path, "one", 0, *REAL, *more)
    wait_for_bars(tmp_path, "one", 10, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0, process.communicate()[1]
    process.communicate()
    with sqlite3.connect(tmp_path / "one" / "journal.db") as journal:
        assert journal.execute("select count(*) from intents where state = 'acknowledged'").fetchone()[0] == left
        assert journal.execute("select count(*) from intents where state in ('written', 'sent', 'unknown')").fetchone()[0] == 0
    said = [name for _, name in SessionStore(tmp_path / "one" / "session.db").commands()]
    assert said == ([] if policy == "keep" else ["cancel"])


def test_a_limit_of_the_account_holds_for_every_strategy_and_is_kept(tmp_path: Path) -> None:
    assert run(request_for(tmp_path, "one", 60, *REAL, "--set", "risk.max_order_value=10")) == 0
    with sqlite3.connect(tmp_path / "one" / "journal.db") as journal:
        assert journal.execute("select count(*) from executions").fetchone()[0] == 0
        notes = {note for (note,) in journal.execute("select note from intents where state = 'refused'")}
    assert notes
    assert all("risk.max_order_value" in note for note in notes)
