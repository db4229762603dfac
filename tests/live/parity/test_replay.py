"""The replay of a session repeats its commands and its blocked entries at the same bars."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.live.parity.record import Recorded, read_session
from forwardtrader.live.parity.replay import replay
from forwardtrader.models.signal_bars import SignalBars
from tests.live.session_runner import Momentum, request_for, run

SYMBOL = "BTC/USDT"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("sessions")
    run(request_for(folder, "one", 120, symbols=(SYMBOL,)))
    return read_session(folder / "one")


def test_entries_are_blocked_where_they_were_blocked(session: Recorded) -> None:
    orders = replay(session, {SYMBOL: Momentum()})["orders"]
    entry = orders[orders["side"] == "buy"].iloc[0]
    at = int(entry["timestamp"].timestamp() * 1000)
    blocked = replay(replace(session, blocked={(at, SYMBOL): "stale"}), {SYMBOL: Momentum()})
    [refused] = blocked["orders"][blocked["orders"]["refusal"] == "stale"].to_dict("records")
    assert (refused["timestamp"], refused["side"]) == (entry["timestamp"], "buy")
    assert blocked["fills"].iloc[0]["timestamp"] > replay(session, {SYMBOL: Momentum()})["fills"].iloc[0]["timestamp"]


def test_commands_are_carried_out_after_the_same_bar(session: Recorded) -> None:
    before = int(session.first_live.timestamp() * 1000) - 3_600_000
    paused = replay(replace(session, commands=[(before, "pause")]), {SYMBOL: Momentum()})
    assert len(paused["fills"]) == 0
    assert len(paused["orders"]) > 0 and set(paused["orders"]["refusal"]) == {"the session is paused"}


def test_a_person_who_lifts_a_halt_of_the_limits_lifts_it_in_the_replay_at_the_same_bar(session: Recorded) -> None:
    risk = session.settings.risk.model_copy(update={"max_drawdown": 0.004})
    limited = replace(session, settings=session.settings.model_copy(update={"risk": risk}))
    halted = replay(limited, {SYMBOL: Momentum()})["orders"]
    refused = halted[halted["refusal"] == "halted (risk.max_drawdown)"]["timestamp"]
    assert len(refused) > 10
    assert refused.iloc[-1] == halted["timestamp"].iloc[-1]
    at = int(refused.iloc[5].timestamp() * 1000)
    resumed = replay(replace(limited, commands=[(at, "resume")]), {SYMBOL: Momentum()})
    bought = resumed["orders"].query("side == 'buy' and refusal == ''")["timestamp"]
    assert bought.iloc[-1] > refused.iloc[5]
    pd.testing.assert_frame_equal(
        resumed["orders"][resumed["orders"]["timestamp"] <= refused.iloc[5]], halted[halted["timestamp"] <= refused.iloc[5]]
    )


def test_features_see_a_trusted_venues_bars_where_the_session_saw_them_and_fills_stay_its_own(session: Recorded, tmp_path: Path) -> None:
    """A bar that the judge of several venues put in place of the session's own moves forecasts from its close on, and no price paid."""
    models = session.settings.models.model_copy(update={"forecaster": "huber_linear", "save_path": str(tmp_path)})
    strategies = session.settings.strategies.model_copy(update={"horizon": 24, "margin": 0.0})
    own = replace(session, settings=session.settings.model_copy(update={"models": models, "strategies": strategies}))
    frame = own.candles[SYMBOL]
    at, bar = frame.index[40], frame.iloc[40]
    trusted = (bar["open"], bar["high"] * 1.03, bar["low"], bar["close"] * 1.03, bar["volume"])
    signals = {SYMBOL: SignalBars([(int(at.timestamp() * 1000), trusted)])}
    before, after = replay(own), replay(replace(own, signals=signals))
    first, second = (each["forecasts"].set_index("timestamp")["location"] for each in (before, after))
    assert first.index[first != second][0] == at
    for fill in after["fills"].itertuples():
        met = frame.loc[fill.timestamp]
        assert met["low"] * 0.999 <= fill.price <= met["high"] * 1.001
    pd.testing.assert_series_equal(first, replay(own)["forecasts"].set_index("timestamp")["location"], check_exact=True)
