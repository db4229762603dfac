"""Funding files: what is read, and one clear line for what is not one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.sandbox.market.rate_file import funding_rates


def test_times_are_read_in_both_forms_and_moved(tmp_path: Path) -> None:
    path = tmp_path / "funding.csv"
    path.write_text("timestamp,rate\n1970-01-01T00:00:01,0.0001\n2000,-0.0002\n")
    assert funding_rates(path, shift=5) == [(1005, Decimal("0.0001")), (2005, Decimal("-0.0002"))]


@pytest.mark.parametrize(
    "text",
    [
        "", "time,rate\n", "timestamp,rate\nnow,1\n", "timestamp,rate\n1\n", "timestamp,rate\n1,1.5\n", "timestamp,rate\n1,nan\n",
        "timestamp,rate\n2,0.1\n1,0.1\n",
    ],
)  # fmt: skip
def test_what_is_no_funding_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "funding.csv"
    path.write_text(text)
    with pytest.raises(CandleFileInvalid, match=r"funding\.csv"):
        funding_rates(path)
    with pytest.raises(CandleFileInvalid, match="cannot be read"):
        funding_rates(tmp_path / "absent.csv")
