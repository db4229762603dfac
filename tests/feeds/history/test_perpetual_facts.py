"""A run finds marks and funding in files, the store or the sample market, and says what it did not find."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import FeedSettings
from forwardtrader.feeds.history.needs import load_history
from forwardtrader.feeds.history.perpetual_facts import FactFiles
from forwardtrader.feeds.perpetuals.import_command import main
from tests.feeds.made_candles import made

PERP = "BTC/USDT:USDT"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    bars = made(100)
    bars.to_csv(tmp_path / "last.csv")
    (bars * 1.001).to_csv(tmp_path / "mark.csv")
    times = pd.date_range(bars.index[0], bars.index[-1], freq="8h")
    pd.DataFrame({"timestamp": times, "rate": 2e-4}).to_csv(tmp_path / "funding.csv", index=False)
    return tmp_path


def settings(folder: Path, **more: object) -> FeedSettings:
    return FeedSettings.model_validate({"symbols": [PERP], "store_path": str(folder / "store"), "source": "store", **more})


def test_files_of_marks_and_funding_stand_beside_the_candles(files: Path) -> None:
    facts = FactFiles(funding=files / "funding.csv", mark=files / "mark.csv")
    found = load_history(settings(files), PERP, start=None, end=None, clock=SystemClock(), file=files / "last.csv", facts=facts)
    assert found.perpetual is not None
    assert (found.perpetual.unknown_marks, found.perpetual.prior_settlements, set(found.perpetual.funding)) == (0, 0, {2e-4})
    plain = load_history(settings(files), PERP, start=None, end=None, clock=SystemClock(), file=files / "last.csv")
    assert plain.fingerprint != found.fingerprint
    assert any("funding is unknown at 13 of 13 settlements" in note for note in plain.notes)


def test_what_is_imported_is_found_in_the_store(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--symbol", PERP, "--timeframe", "1h", "--exchange", "binance", "--path", str(files / "store")]
    for kind, name in (("candles", "last"), ("mark", "mark"), ("funding", "funding")):
        assert main([str(files / f"{name}.csv"), *where, "--kind", kind]) == 0
    assert "binance BTC/USDT:USDT funding: 13 settlements" in capsys.readouterr().out
    found = load_history(settings(files), PERP, start=None, end=None, clock=SystemClock())
    assert found.perpetual is not None
    assert (found.perpetual.mark_source, found.perpetual.funding_source) == ("binance", "binance")
    assert (found.perpetual.unknown_marks, found.perpetual.prior_settlements) == (0, 0)


def test_funding_of_what_is_no_perpetual_is_one_clear_line(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(files / "funding.csv"), "--symbol", "BTC/USDT", "--kind", "funding", "--path", str(files / "store")]) == 2
    assert "BTC/USDT is no perpetual and has no funding; write --symbol BTC/USDT:USDT" in capsys.readouterr().err
    with pytest.raises(InvalidSetting, match="BTC/USDT is no perpetual"):
        load_history(
            settings(files, symbols=["BTC/USDT"]), "BTC/USDT", start=None, end=None, clock=SystemClock(), file=files / "last.csv",
            facts=FactFiles(mark=files / "mark.csv"),
        )  # fmt: skip


def test_the_sample_market_has_perpetuals_that_lack_nothing(tmp_path: Path) -> None:
    start, end = datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 2, 1, tzinfo=UTC)
    found = load_history(settings(tmp_path, source="sample"), PERP, start=start, end=end, clock=SystemClock())
    assert found.perpetual is not None
    assert found.perpetual.notes == ()
    assert len(found.perpetual.funding) == 93
