"""The form of a backtest: what it becomes, and what cannot be smuggled through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.backtest.flags import parser
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.serve.facts.backtest_form import FIELDS, words_of

FIRST = {"from": "2022-01-01"}


@pytest.fixture(autouse=True)
def in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_form_becomes_the_words_of_the_command() -> None:
    given = {"to": "", "symbols": "btc/usdt, ETH/USDT", "forecaster": "lstm", "fee": "7.5", "window": "90d", "name": "my run"}
    assert words_of(FIRST | given, SystemClock()) == [
        "--from=2022-01-01", "--symbol=BTC/USDT", "--symbol=ETH/USDT", "--forecaster=lstm", "--fee-bps=7.5", "--train-window=90d",
        "--name=my run",
    ]  # fmt: skip


def test_every_field_is_a_flag_of_the_command() -> None:
    known = {flag for action in parser()._actions for flag in action.option_strings}
    assert {field.flag for field in FIELDS.values()} <= known


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("forecaster", "/tmp/evil.py:Model"), ("forecaster", "os:system"), ("source", "store --config=/etc/passwd"), ("name", "--open"),
        ("name", "a\nb"), ("name", "x" * 61), ("symbols", "--config=/etc/passwd"), ("symbols", "BTC/USDT=../../x"), ("symbols", ","),
        ("symbols", " ".join(f"A{n}/USDT" for n in range(21))), ("from", "2022-13-01"), ("from", "yesterday; rm -rf /"), ("cash", "1e400"),
        ("cash", "-1"), ("cash", "nan"), ("cash", "٣"), ("window", "0d"), ("window", "9999999d"), ("seeds", "0"), ("timeframe", "7m"),
        ("strategy", "x:Y"), ("config", "x"), ("set", "a.b=c"), ("__proto__", "x"), ("cash", None), ("cash", 5), ("cash", ["1"]),
        ("to", "2021-01-01"), ("fee", "5000"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name_and_never_a_flag(field: str, value: object) -> None:
    with pytest.raises(ConfigError) as refused:
        words_of(FIRST | {field: value}, SystemClock())
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_the_first_day_must_be_named() -> None:
    with pytest.raises(ConfigError, match="First day traded"):
        words_of({}, SystemClock())
