"""Factor files: options, known forms, and what must be stated."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.feeds.factors.book import FactorBook, read_factor
from forwardtrader.feeds.factors.files import parse_factor
from tests.feeds.made_candles import HOUR


def written(path: Path, text: str) -> FactorSettings:
    path.write_text(text)
    return FactorSettings(file=str(path))


def funding(folder: Path, rows: int = 5) -> FactorSettings:
    times = pd.date_range("2024-01-01", periods=rows, freq="8h", tz=UTC)
    lines = [f"{at:%Y-%m-%dT%H:%M:%SZ},{k / 10000}" for k, at in enumerate(times)]
    return written(folder / "funding.csv", "\n".join(["timestamp,funding_rate", *lines]) + "\n")


def test_what_cannot_be_known_must_be_set(tmp_path: Path) -> None:
    settings = written(tmp_path / "mood.csv", "timestamp,mood\n2024-01-01,3\n")
    with pytest.raises(InvalidSetting, match="say how long after its time stamp a value became known"):
        FactorBook([settings], HOUR)
    FactorBook([settings.model_copy(update={"known_after": timedelta(days=1)})], HOUR)
    two = written(tmp_path / "two.csv", "timestamp,a,b\n2024-01-01,3,4\n")
    with pytest.raises(InvalidSetting, match="has the columns a, b; say which one"):
        FactorBook([two], HOUR)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("funding.csv", FactorSettings(file="funding.csv")),
        (
            "mood=m.csv,column=index,known_after=1d",
            FactorSettings(file="m.csv", name="mood", column="index", known_after=timedelta(days=1)),
        ),
        ("m.csv,name=mood,max_age=12h", FactorSettings(file="m.csv", name="mood", max_age=timedelta(hours=12))),
    ],
)
def test_a_factor_is_parsed_from_one_argument(text: str, settings: FactorSettings) -> None:
    assert parse_factor(text) == settings


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("m.csv,colum=a", "did you mean 'column'"),
        ("m.csv,max_age=soon", "use a form like 28d"),
        ("", "name a file"),
        ("A b=m", "lower-case"),
    ],
)
def test_a_wrong_option_is_corrected(text: str, hint: str) -> None:
    with pytest.raises(InvalidSetting, match=hint):
        parse_factor(text)


def test_empty_cells_are_no_observations(tmp_path: Path) -> None:
    settings = written(tmp_path / "f.csv", "timestamp,funding_rate\n2024-01-01T00:00:00Z,\n2024-01-01T08:00:00Z,0.1\n")
    assert len(read_factor(settings).source.observations()) == 1
