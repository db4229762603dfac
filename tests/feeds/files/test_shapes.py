"""Every shape of candle file is read to the exact value, or refused with the true reason; docs/candle-files.md lists what is found."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.files.import_file import CandleFile, read_file
from forwardtrader.feeds.files.times import notation_of
from tests import ROOT
from tests.feeds.files.shapes.exports import EXPORTS
from tests.feeds.files.shapes.notations import NOTATIONS
from tests.feeds.files.shapes.shape import Shape
from tests.feeds.files.shapes.vendors import VENDORS

CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
SHAPES = [*VENDORS, *NOTATIONS, *EXPORTS]
PAGE = ROOT / "docs" / "candle-files.md"
BEGIN, END = "<!-- WRITE_CANDLE_FILES=1 python -m pytest tests/feeds/files/test_shapes.py -->", "<!-- end of the table -->"


def result_of(shape: Shape, folder: Path) -> CandleFile | str:
    """What was read, or the reason of a refusal without the name of the file."""
    path = folder / shape.file
    made = shape.content(shape.frame)
    path.write_bytes(made if isinstance(made, bytes) else made.encode())
    notation = notation_of(shape.options.get("date_format", ""), shape.options.get("tz", ""), shape.options.get("stamped", ""))
    try:
        return read_file(path, shape.symbol, Timeframe.parse(shape.timeframe), CLOCK, notation=notation)
    except CandleFileInvalid as refused:
        return str(refused).removeprefix(str(path)).lstrip(":, ")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.group}: {shape.name}")
def test_a_shape_is_read_to_the_exact_value_or_refused_with_the_true_reason(shape: Shape, tmp_path: Path) -> None:
    found = result_of(shape, tmp_path)
    if shape.refused or isinstance(found, str):
        assert shape.refused
        assert isinstance(found, str), "read"
        assert shape.refused in found
        assert "\n" not in found
        return
    expected = shape.expected(shape.frame)
    pd.testing.assert_frame_equal(found.candles, expected, check_freq=False, check_exact=shape.exact, rtol=1e-9)
    assert shape.told in "; ".join(found.notes)
    assert all("\n" not in note for note in found.notes)


def test_the_page_lists_what_is_read_and_what_is_refused(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    made = f"{before}{BEGIN}\n{table(tmp_path)}{END}{rest.split(END)[1]}"
    if os.environ.get("WRITE_CANDLE_FILES"):
        PAGE.write_text(made, encoding="utf-8")
    assert made == page


def table(folder: Path) -> str:
    """The shapes in groups, with what is told of each."""
    read = sum(not shape.refused for shape in SHAPES)
    lines = [f"\nOf {len(SHAPES)} shapes {read} are read and {len(SHAPES) - read} are refused with their reason.\n"]
    for group, shapes in groupby(SHAPES, key=lambda shape: shape.group):
        lines += [f"\n### {group}\n", "| shape | result | what is told |", "|---|---|---|"]
        for shape in shapes:
            found = result_of(shape, folder)
            options = "".join(f", with `--{name.replace('_', '-')} {value!r}`" for name, value in shape.options.items())
            told = found if isinstance(found, str) else "; ".join(found.notes)
            lines.append(f"| {shape.name} | {'refused' if isinstance(found, str) else f'read{options}'} | {told.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def test_there_are_enough_shapes_each_under_a_name_of_its_own() -> None:
    assert len(SHAPES) >= 120
    assert len({(shape.group, shape.name) for shape in SHAPES}) == len(SHAPES)
