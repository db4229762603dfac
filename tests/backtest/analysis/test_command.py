"""`forwardtrader analyse`: a page from the sample market, which says so, and one line where there is too little."""

from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.backtest.analysis.command import main


def test_the_page_says_what_was_found_and_of_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "BTC/USDT",
        "ETH/USDT",
        "--source",
        "sample",
        "--timeframe",
        "4h",
        "--from",
        "2024-01-01",
        "--to",
        "2024-09-30",
        "--out",
        str(tmp_path / "page"),
    ]
    assert main(words) == 0
    assert capsys.readouterr().out.strip().endswith("index.html")
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    for said in ("Sample data", "a unit root: it wanders", "GJR-GARCH", "Lead and lag", "ETH/USDT", "Monday", "wild"):
        assert said in page
    for chart in ("acf", "acf-size", "hours", "weekdays", "ccf:ETH/USDT", "price", "sigma", "wild"):
        assert f'data-chart="{chart}"' in page
    assert "http://" not in page
    assert (tmp_path / "page" / "plotly.min.js").is_file()


def test_too_few_bars_are_one_line_that_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--source", "sample", "--from", "2024-01-01", "--to", "2024-01-03", "--out", str(tmp_path)]) == 2
    assert "200 are needed; give an earlier --from" in capsys.readouterr().err
