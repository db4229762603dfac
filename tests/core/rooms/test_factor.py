"""Entries of `feeds.factors`: what each kind needs, and where its record lies."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.settings import FeedSettings


def test_a_text_is_a_kind_that_needs_nothing_else_or_a_file() -> None:
    feeds = FeedSettings.model_validate({"factors": ["funding", "fear_greed", "funding.csv", {"file": "a.csv"}]})
    assert [(entry.kind, entry.file) for entry in feeds.factors] == [
        ("funding", ""), ("fear_greed", ""), ("file", "funding.csv"), ("file", "a.csv")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"kind": "json", "name": "x"}, "needs a name, a url and a column"),
        ({"kind": "file"}, "needs a file"),
        ({"kind": "calendar"}, "needs a file"),
        ({"kind": "json", "name": "x", "column": "v", "url": "ftp://a/b", "known_after": "1h"}, "https://host/path"),
        ({"kind": "json", "name": "x", "column": "v", "url": "https://me:secret@a/b", "known_after": "1h"}, "keys in the environment"),
        ({"kind": "json", "name": "x", "column": "v", "url": "https://a/b"}, "how long after its time stamp"),
        ({"kind": "funding", "every": "0m"}, "shorter than a minute"),
        ({"kind": "fuding"}, "funding"),
    ],
)
def test_an_entry_that_says_too_little_is_refused(said: dict[str, str], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        FactorSettings.model_validate(said)


def test_records_of_other_sources_are_other_files() -> None:
    def files(**said: object) -> list[str]:
        return [entry.file for entry in FeedSettings.model_validate(said).located_factors]

    kinds = ["funding", "open_interest", "taker_volume", "fear_greed", "own.csv"]
    assert files(factors=kinds) == [
        "var/factors/binance/BTC%2FUSDT%3AUSDT/funding.csv",
        "var/factors/binance/BTC%2FUSDT%3AUSDT/open_interest-1h.csv",
        "var/factors/binance/BTC%2FUSDT/taker_volume-1h.csv",
        "var/factors/fear_greed/fear_and_greed.csv",
        "own.csv",
    ]
    assert files(factors=["open_interest"], timeframe="15m")[0].endswith("open_interest-5m.csv")
    practice = files(factors=["funding"], exchange_url="http://127.0.0.1:8000")[0]
    assert "binance@127.0.0.1" in practice
    elsewhere = files(factors=[{"kind": "funding", "exchange": "bybit"}], exchange_url="http://127.0.0.1:8000")[0]
    assert elsewhere == "var/factors/bybit/BTC%2FUSDT%3AUSDT/funding.csv"
    one, other = (
        {"kind": "json", "name": "x", "column": column, "url": "https://a/b", "known_after": "1h"} for column in ("v", "w")
    )  # fmt: skip
    assert files(factors=[one]) != files(factors=[other])
