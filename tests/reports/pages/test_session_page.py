from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.core.types import DataKind
from forwardtrader.reports.pages.session_page import latest_forecasts, load_session, render_session_page, with_closes
from forwardtrader.reports.pages.session_status import ModelDecision, ModelOutcome, SessionState, read_status, write_status
from tests.reports import simulated, simulated_session
from tests.reports.browser import look_at


def page(folder: Path, **options: object) -> str:
    simulated_session.write(folder, **options)
    return render_session_page(folder).read_text(encoding="utf-8")


def test_a_status_read_back_is_the_one_written(tmp_path: Path) -> None:
    told = simulated_session.write(tmp_path, bars=0)
    assert read_status(tmp_path) == told


def test_the_page_tells_position_profit_forecast_and_health(tmp_path: Path) -> None:
    text = page(tmp_path)
    for part in (
        "+4.12 %",
        "0.134200",
        "lstm-034",
        "no bar since 13:00",
        "612 MB",
        "order ft-8f2c11 is unresolved",
        "unknown",
        "1 bar ahead",
    ):
        assert part in text


def test_the_page_tells_why_orders_came_to_nothing_as_that_of_a_backtest_does(tmp_path: Path) -> None:
    text = page(tmp_path, refused={"BTC/USDT": {"the session is paused": 3}})
    assert "Orders that came to nothing" in text and ">the session is paused<" in text
    assert "Orders that came to nothing" not in page(tmp_path)


def test_a_session_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    text = page(tmp_path, bars=0, positions=[], open_orders=[], sources=[], alerts=[], equity=None, last_bar=None)
    for part in ("No bar has closed yet.", "No forecast has been made yet.", "Nothing is held.", "No order was filled yet."):
        assert part in text


def test_the_page_tells_what_was_learned_and_why_a_model_was_promoted_or_kept(tmp_path: Path) -> None:
    at = "2024-05-01T01:00:00Z"
    decisions = [
        ModelDecision(
            since=at, deed="promoted", by="drift", model_id="lstm-034", other="lstm-033", reason="drift: loss 0.31, usually 0.24"
        ),
        ModelDecision(since=at, deed="kept", by="calendar", model_id="lstm-034", other="lstm-035", reason="significantly worse"),
    ]
    outcome = ModelOutcome(
        model_id="lstm-034",
        first=at,
        last=at,
        forecasts=412,
        loss=0.2412,
        skill=0.011,
        coverage_90=0.897,
        trades=7,
        won=0.571,
        profit=-31.4,
    )
    text = page(tmp_path, decisions=decisions, outcomes=[outcome])
    for part in (
        "drift: loss 0.31, usually 0.24",
        "significantly worse",
        "lstm-035",
        "0.2412",
        "+1.10 %",
        "89.7 %",
        "412",
        "57.1 %",
        "−31.40",
    ):
        assert part in text
    assert "Learning" not in page(tmp_path / "none")


def test_real_money_is_named_and_paper_is_not_taken_for_it(tmp_path: Path) -> None:
    assert "Real money session" in page(tmp_path / "a", mode="live")
    paper = page(tmp_path / "b")
    assert "Paper session" in paper
    assert "eal money" not in paper


def test_a_practice_market_says_sample(tmp_path: Path) -> None:
    text = page(tmp_path, kind=DataKind.SAMPLE)
    assert "<title>SAMPLE" in text
    assert "Every price on this page was simulated" in text


def test_a_running_page_reloads_and_a_stopped_one_does_not(tmp_path: Path) -> None:
    assert "location.reload" in page(tmp_path / "a")
    stopped = page(tmp_path / "b", state=SessionState.STOPPED, reason="asked for 960 bars")
    assert "location.reload" not in stopped
    assert "Asked for 960 bars." in stopped
    assert "<dt>Next bar</dt>" not in stopped and "<dt>Next retrain</dt>" not in stopped and "<dt>Ended</dt>" in stopped
    assert "Positions and orders when it ended" in stopped and "Health when it ended" in stopped


def test_the_outlook_is_the_newest_forecast_as_prices(tmp_path: Path) -> None:
    simulated_session.write(tmp_path)
    session = load_session(tmp_path)
    (told,) = latest_forecasts(session)
    row = session.forecasts.iloc[-1]
    close = session.equity["close:BTC/USDT"].iloc[-1]
    assert told.made_at == row["timestamp"]
    assert told.low == pytest.approx(close * math.exp(row["q05"]))
    assert told.low < told.middle < told.high


def test_closes_come_from_the_candles_where_equity_has_none() -> None:
    market = simulated.candles(10)
    equity = pd.DataFrame({"equity": 1.0}, index=market.index[5:])
    joined = with_closes(equity, market, ["BTC/USDT"])
    assert joined["close:BTC/USDT"].tolist() == market["close"].iloc[5:].tolist()
    assert with_closes(joined, market, ["BTC/USDT"]).columns.tolist() == joined.columns.tolist()
    assert len(with_closes(equity.iloc[:0], market, ["BTC/USDT"])) == 10


def test_a_folder_without_a_session_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunUnreadable, match="does not exist"):
        render_session_page(tmp_path)
    (tmp_path / "session.json").write_text("{")
    with pytest.raises(RunUnreadable, match="cannot be read"):
        render_session_page(tmp_path)


def test_names_from_outside_cannot_become_markup(tmp_path: Path) -> None:
    assert "<b>evil</b>" not in page(tmp_path, name="<b>evil</b>")


def test_numbers_that_are_not_known_are_null(tmp_path: Path) -> None:
    told = simulated_session.status(pd.Timestamp("2026-01-01", tz="UTC"), equity=math.nan)
    assert '"equity": null' in write_status(tmp_path, told).read_text()
    assert told.profit is None


def test_the_page_fits_a_phone_is_quiet_and_draws_its_charts(tmp_path: Path) -> None:
    pages = {}
    for name, options in {"full": {}, "begun": {"bars": 0, "equity": None}, "no-forecast": {"forecasts": False, "trades": False}}.items():
        simulated_session.write(tmp_path / name, refresh_s=3600, **options)
        pages[name] = render_session_page(tmp_path / name)
    found, console = look_at(pages, tmp_path, 390)
    assert console == []
    assert [name for name, seen in found.items() if seen["content"] > 390] == []
    assert all(seen["drawn"] == seen["charts"] for seen in found.values())
    assert {name for seen in found.values() for name in seen["loaded"]} == set()
    assert found["full"]["charts"] == 3
