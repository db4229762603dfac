"""A recorded session, read from its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.live.parity.record import read_session
from tests.live.session_runner import request_for, run


def test_a_folder_without_a_session_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunUnreadable):
        read_session(tmp_path)


def test_a_recorded_session_has_its_tables_settings_and_bars(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 12, symbols=("BTC/USDT",)))
    session = read_session(tmp_path / "one")
    assert (session.status.bars, str(session.timeframe), session.strategy, session.commands, session.blocked) == (12, "1h", "", [], {})
    assert [len(frame) for frame in session.candles.values()] == [12]
    assert session.candles["BTC/USDT"].index[0] == session.first_live
    assert session.whole["BTC/USDT"].index.is_monotonic_increasing
    assert session.last_bar == session.candles["BTC/USDT"].index[-1]
    assert not session.is_filled_by_book
    assert session.settings.models.train_window.days == 10
    (tmp_path / "one" / "plan.json").unlink()
    with pytest.raises(RunUnreadable, match=r"plan.json is not there: .* the next start of the session makes again"):
        read_session(tmp_path / "one")
