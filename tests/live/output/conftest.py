"""A recorded session and a writer process for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forwardtrader.live.output.writer import Writer
from tests.live.recorded_session import BARS, RecordedSession, recorded


@pytest.fixture(scope="module")
def warm() -> Iterator[Writer]:
    made = Writer()
    yield made
    made.close()


@pytest.fixture
def writer(warm: Writer) -> Writer:
    return warm


@pytest.fixture
def session(tmp_path: Path) -> Iterator[RecordedSession]:
    with recorded(tmp_path / "one", BARS) as made:
        yield made
