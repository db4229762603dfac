from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.types import DataKind
from forwardtrader.reports import artefacts
from forwardtrader.reports.artefacts import RunArtefacts
from forwardtrader.reports.pages.tearsheet import TearsheetProcess
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.summary import summarise_strategy
from tests import ROOT
from tests.reports import simulated
from tests.reports.browser import look_at

# A socket that is opened ends the drawing process: what comes out was made without a network.
DEAF = """
import runpy, socket, sys
def refuse(*_, **__): raise SystemExit("a socket was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
sys.argv = ["tearsheet", *sys.argv[1:]]
runpy.run_module("forwardtrader.reports.pages.tearsheet", run_name="__main__")
"""


def doubling() -> RunArtefacts:
    """An account that doubles in 365 days, one way up and down by the hour."""
    times = pd.date_range("2022-01-01", periods=365 * 24, freq="h", tz="UTC", name="timestamp")
    steps = np.random.default_rng(4).normal(0, 0.002, len(times))
    path = np.exp(np.cumsum(steps - steps.mean() + np.log(2) / len(times)))
    equity = pd.DataFrame({"equity": 10_000 * path, "cash": 0.0, "exposure": 1.0, "close:BTC/USDT": path}, index=times)
    equity["buy_and_hold"] = equity["equity"]
    made = simulated.run(300).manifest
    summary = summarise_strategy(equity, artefacts.empty_fills(), 365, start_equity=10_000.0)
    return RunArtefacts(made.model_copy(update={"strategy": summary}), artefacts.empty_forecasts(), artefacts.empty_fills(), equity)


RUNS = {
    "doubling": doubling,
    "real": lambda: simulated.run(6000),
    "sample": lambda: simulated.run(1500, kind=DataKind.SAMPLE, scored=False),
    "years": lambda: simulated.run(800, timeframe="1d"),
    "flat": lambda: simulated.run(1000, trades=False),
    "short": lambda: simulated.run(50),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("runs")
    for name, make in RUNS.items():
        artefacts.save(folder / name, make())
    command = [sys.executable, "-c", DEAF, *(str(folder / name) for name in RUNS)]
    return folder, subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def page(drawn: tuple[Path, object], name: str) -> str:
    return (drawn[0] / name / "tearsheet.html").read_text(encoding="utf-8")


def number(text: str, label: str) -> str:
    """The strategy's entry in the table of metrics."""
    return re.search(rf"<td>{re.escape(label)}\s*</td><td>[^<]*</td><td>([^<]*)</td>", text)[1].strip()


def test_it_is_drawn_without_network_and_without_a_word_on_stderr(drawn: tuple) -> None:
    assert (drawn[1].returncode, drawn[1].stderr) == (0, "")
    assert len(drawn[1].stdout.splitlines()) == len(RUNS)


def test_its_numbers_are_ours(drawn: tuple) -> None:
    run = artefacts.load(drawn[0] / "real")
    days = metrics.daily(run.equity["equity"])
    returns = metrics.returns_of(days, 10_000.0)
    text = page(drawn, "real")
    assert float(number(text, "Sharpe")) == pytest.approx(metrics.sharpe(returns, 365), abs=0.0051)
    assert float(number(text, "Sortino")) == pytest.approx(metrics.sortino(returns, 365), abs=0.0051)
    assert float(number(text, "CAGR %").rstrip("%")) == pytest.approx(100 * metrics.cagr(returns, 365), abs=0.0051)
    assert float(number(text, "Max Drawdown").rstrip("%")) == pytest.approx(100 * metrics.max_drawdown(days, 10_000.0), abs=0.0051)


def test_a_doubling_in_365_days_prints_a_cagr_of_100_per_cent(drawn: tuple) -> None:
    assert number(page(drawn, "doubling"), "CAGR %") == "100.0%"


def test_a_sample_run_says_so_in_title_and_banner(drawn: tuple) -> None:
    text = page(drawn, "sample")
    assert "<title>SAMPLE" in text
    assert "simulated market" in text
    assert "SAMPLE" not in page(drawn, "real")


@pytest.mark.parametrize(("name", "reason"), [("flat", "never traded"), ("short", "3 days")])
def test_a_run_that_cannot_have_one_gets_a_page_that_says_why(drawn: tuple, name: str, reason: str) -> None:
    text = page(drawn, name)
    assert "No tearsheet" in text
    assert reason in text
    assert "{{" not in text


def test_it_asks_no_other_machine_for_anything(drawn: tuple) -> None:
    assert re.findall(r'(?:src|href)="(?!#|data:|index\.html)[^"]*"', page(drawn, "real")) == []
    assert "{{" not in page(drawn, "real")


def test_the_chart_of_years_names_each_bar_for_its_own_year(drawn: tuple) -> None:
    assert re.findall(r">(20\d\d)</text>", page(drawn, "years"))[:3] == ["2022", "2023", "2024"]


def test_it_fits_a_phone_and_is_quiet(drawn: tuple, tmp_path: Path) -> None:
    pages = {name: drawn[0] / name / "tearsheet.html" for name in ("real", "sample", "flat")}
    found, console = look_at(pages, tmp_path, 390)
    assert console == []
    assert [name for name, seen in found.items() if seen["content"] > 390 or seen["loaded"]] == []


def test_the_process_beside_the_caller_draws_the_same_page(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    artefacts.save(tmp_path, simulated.run(50))
    with TearsheetProcess() as tearsheet:
        tearsheet.submit(tmp_path)
        assert tearsheet.wait() == tmp_path / "tearsheet.html"
    assert "3 days" in (tmp_path / "tearsheet.html").read_text()
    assert capfd.readouterr().err == ""


def test_a_process_that_dies_leaves_a_page_that_says_so(tmp_path: Path) -> None:
    artefacts.save(tmp_path, simulated.run(400))
    with TearsheetProcess() as tearsheet:
        tearsheet._process.kill()
        tearsheet._process.wait()
        tearsheet.submit(tmp_path)
        path = tearsheet.wait()
    assert "did not finish" in path.read_text()


def test_a_command_that_never_submits_ends_at_once() -> None:
    with TearsheetProcess() as tearsheet:
        process = tearsheet._process
    assert process.poll() is not None
