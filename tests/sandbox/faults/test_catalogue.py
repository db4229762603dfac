"""The catalogue of faults: armed by name, seeded, read from files, wrong switches named."""

from __future__ import annotations

from typing import Any

import pytest

from forwardtrader.core.errors import ConfigError, InvalidSetting, UnknownSetting
from forwardtrader.sandbox.faults.catalogue import CATALOGUE, Switchboard, read_faults, read_options


def test_a_faulty_day_repeats_exactly_with_the_same_seed() -> None:
    def fired(seed: int) -> list[str]:
        seen: list[str] = []
        board = Switchboard(seed, lambda: 0, lambda name, facts: seen.append(name))
        board.arm("F40", {"probability": 0.05})
        for _ in range(2000):
            for name in CATALOGUE:
                board.fire(name, "BTC/USDT", on="place")
        return seen

    assert fired(1) == fired(1)
    assert fired(1) != fired(2)
    assert len(set(fired(1))) > 10


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_fault_of_the_catalogue_can_be_armed_by_name(name: str) -> None:
    assert set(CATALOGUE[name].options) <= set(read_options(name, {}))


BAD = [
    ("F99", {}, UnknownSetting, "did you mean"),
    ("F1", {"cuont": 2}, UnknownSetting, "did you mean 'count'"),
    ("F1", {"count": "two"}, InvalidSetting, "must be a number"),
    ("F1", {"probability": 2}, InvalidSetting, "probability"),
    ("F34", {}, InvalidSetting, "in the client"),
]


@pytest.mark.parametrize(("name", "options", "kind", "words"), BAD, ids=lambda v: str(v)[:20])
def test_a_wrong_switch_says_what_is_wrong(name: str, options: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        read_options(name, options)


def test_a_fault_file_is_read_and_a_wrong_one_is_named(tmp_path: Any) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("f1: {count: 2}\nF8:\n")
    assert read_faults(path) == {"F1": {"count": 2}, "F8": {}}
    path.write_text("[F1, F2]")
    assert read_faults(path) == {"F1": {}, "F2": {}}
    for text in ("F1: 3", "just words", "{", "F1: {count: -1}"):
        path.write_text(text)
        with pytest.raises(ConfigError):
            read_faults(path)
