"""Runs side by side, as values and as the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports import artefacts
from forwardtrader.reports.__main__ import main
from forwardtrader.reports.runs.comparison import compare, curve
from forwardtrader.reports.runs.listing import RunListing
from tests.reports.runs.test_listing import saved


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("output")
    saved(folder, "one")
    saved(folder, "two", models__units=8)
    third = saved(folder, "three")
    run = artefacts.load(third)
    artefacts.save(third, artefacts.RunArtefacts(run.manifest, run.forecasts, run.fills, run.equity.iloc[72:]))
    saved(folder, "twice")
    return folder


def test_what_differs_is_told_and_what_is_equal_is_not(output: Path) -> None:
    found = compare(RunListing(output), ["one", "two"])
    assert [(line.label, line.values) for line in found.settings] == [("models.units", ("48", "8"))]
    numbers = {line.label: line for line in found.numbers}
    assert numbers["Verdict"].values == ("no edge", "no edge") and not numbers["Sharpe ratio"].differs
    assert (found.note, found.common) == ("", ())


def test_runs_over_other_days_are_also_compared_on_those_they_share(output: Path) -> None:
    found = compare(RunListing(output), ["one", "three"])
    assert found.note == "They traded different days, 6 in common."
    assert [line.label for line in found.common] == ["Net return", "Sharpe ratio", "Largest drawdown"]
    assert not any(line.differs for line in found.common), "the same account on the same days"


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["one"], "1 runs are named"), (["one"] * 7, "7 runs are named"), (["one", "one"], "named twice"),
        (["one", "nothing"], "no runs in"),
        (["one", "tw"], "2 runs in"), (["one", ""], "no runs in"), (["one", "../one"], "no runs in"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line(output: Path, names: list[str], why: str) -> None:
    with pytest.raises(RunUnreadable, match=why):
        compare(RunListing(output), names)


def test_a_long_curve_keeps_its_highs_and_lows() -> None:
    index = pd.date_range("2022-01-01", periods=40_000, freq="h", tz="UTC")
    values = 100.0 + np.random.default_rng(1).normal(0, 1, 40_000).cumsum() * 0.01
    values[[12_345, 23_456]] = 500.0, 1.0
    found = curve(pd.Series(values, index=index))
    assert len(found.times) == len(found.growth) < 1000
    assert max(found.growth) == pytest.approx(500 / values[0] - 1) and min(found.growth) == pytest.approx(1 / values[0] - 1)
    assert curve(pd.Series([], index=index[:0], dtype=float)).times == ()


def test_the_command_shows_them_on_the_terminal_and_for_programs(
    output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(output.parent)
    assert main(["compare", str(output / "one"), str(output / "two")]) == 0
    said = capsys.readouterr().out
    assert "settings that differ" in said and "models.units" in said and "units 8" in said
    assert main(["compare", str(output / "one"), str(output / "two"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"] == [{"label": "models.units", "values": ["48", "8"]}]
    assert main(["compare", str(output / "one")]) == 2
    assert capsys.readouterr().err == "1 runs are named; name two to 6\n"
