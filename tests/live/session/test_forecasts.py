"""The recorded forecasts of a session."""

from __future__ import annotations

from pathlib import Path

from forwardtrader.live.session.forecasts import known_forecasts
from tests.live.recorded_session import (
    BEGAN,
    STEP,
    moment,
    recorded,
)


def test_forecasts_of_an_earlier_process_are_looked_up_bar_by_bar(tmp_path: Path) -> None:
    with recorded(tmp_path / "one", 20) as session:
        known = known_forecasts(session.store, "ETH/USDT", BEGAN + 9 * STEP)
        table = session.store.forecasts()
        told = known(moment(9))
        assert told is not None
        row = table[(table["symbol"] == "ETH/USDT") & (table["timestamp"] == moment(9))].iloc[0]
        assert (told.at, told.location, told.quantiles[4], told.model_id) == (moment(9), row["location"], row["q95"], "momentum")
        assert known(moment(10)) is None, "it was made at a bar that is not past"
        assert known_forecasts(session.store, "ETH/USDT", None)(moment(0)) is None
