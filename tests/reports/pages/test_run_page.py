from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.core.types import DataKind
from forwardtrader.reports import artefacts
from forwardtrader.reports.artefacts import RunArtefacts
from forwardtrader.reports.pages.run_charts import price_days
from forwardtrader.reports.pages.run_index import entries, render_run_index
from forwardtrader.reports.pages.run_page import prepare_run_page, reason_for, render_run_page
from forwardtrader.reports.pages.tearsheet import TearsheetProcess
from forwardtrader.reports.sections.forecasts import AcrossSymbols
from forwardtrader.reports.sections.gates import GateSection
from tests.reports import simulated


def rendered(folder: Path, run: RunArtefacts) -> str:
    artefacts.save(folder / "run", run)
    return render_run_page(folder / "run").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    return rendered(tmp_path_factory.mktemp("full"), simulated.run(3000))


def test_alarms_the_verdict_and_its_reasons_come_before_any_number(full: str) -> None:
    order = ["look for a leak first", "No edge", "0.95 is needed after 17 trials", "Net return", "Account value"]
    places = [full.index(text, full.index("<h1>")) for text in order]
    assert places == sorted(places)


def test_the_verdict_is_a_checklist_with_the_gate_that_decides_first(tmp_path: Path) -> None:
    run = simulated.run(400)
    gates = [
        GateSection(asks="Enough data", passed=True, found="30,000 independent bars"),
        GateSection(asks="Better than random entries", passed=False, found="the timing does not beat random entries"),
        GateSection(asks="Earned by the forecasts", passed=None, found="whether the forecasts earned it is unknown"),
    ]
    reasons = ["the timing does not beat random entries", "BTC/USDT: funding was assumed"]
    told = run.manifest.model_copy(update={"verdict_gates": gates, "verdict_reasons": reasons})
    text = rendered(tmp_path, replace(run, manifest=told))
    block = text[text.index('<ol class="gates">') : text.index("</ol>")]
    places = [block.index(gate.asks) for gate in (gates[1], gates[0], gates[2])]
    assert places == sorted(places)
    assert [block.count(f'class="{kind}"') for kind in ("yes", "no", "open")] == [1, 1, 1]
    assert block.count("decides") == 1 and "at random times" in block
    assert "BTC/USDT: funding was assumed." in text  # what no gate tells is still told


def test_candles_are_drawn_where_they_were_kept(tmp_path: Path) -> None:
    run = simulated.run(400)
    symbol, folder = run.symbols[0], tmp_path / "run"
    artefacts.save(folder, run)
    assert '"candles":null' in render_run_page(folder).read_text(encoding="utf-8")
    market = simulated.candles(500)
    artefacts.save_candles(folder, {symbol: market}, pd.DatetimeIndex(run.equity.index))
    kept = artefacts.load_candles(folder)[symbol]
    assert len(kept) == len(run.equity) and (kept["high"] >= kept["low"]).all()
    assert f'"candle-volume:{symbol}"' in render_run_page(folder).read_text(encoding="utf-8")
    with pytest.raises(RunUnreadable):
        (folder / artefacts.CANDLES).write_bytes(b"PAR1 nothing")
        render_run_page(folder)


def test_every_round_trip_travels_with_the_page(full: str) -> None:
    payload = json.loads(re.search(r'id="chart-data">(.*?)</script>', full, re.DOTALL)[1])  # type: ignore[index]
    trips = payload["trips"]
    assert len(trips["opened"]) == len(trips["gain"]) > 5
    assert all(opened <= closed for opened, closed in zip(trips["opened"], trips["closed"], strict=True))


PARTS = ["Buy and hold", "Volatility-targeted", "LightGBM, Huber", "[0.079, 0.103]", "Diebold-Mariano", "Break-even per side"]
PARTS += ["All 5 models", "models.units", "python run_backtest.py --from 2022-01-01", "sha256 of forecasts", "Suhonen", "run.json", "Seed"]


@pytest.mark.parametrize("part", PARTS)
def test_the_page_holds_every_part(full: str, part: str) -> None:
    assert part in full


def test_a_run_of_several_symbols_says_how_well_they_are_ranked_against_one_another(tmp_path: Path) -> None:
    run = simulated.run(900)
    across = AcrossSymbols(rank_ic=0.0912, rank_ic_ci=(0.08, 0.1), icir=0.21, p=0.0001, bars=800, symbols=7)
    scored = {symbol: each.model_copy(update={"across_symbols": across}) for symbol, each in run.manifest.forecast.items()}
    text = rendered(tmp_path, replace(run, manifest=run.manifest.model_copy(update={"forecast": scored})))
    assert text.count("with a rank IC of 0.091") == 1 and "up to 7 symbols" in text
    assert "Across symbols" not in rendered(tmp_path / "alone", run)


def test_a_run_without_statistics_says_why_and_shows_the_rest(tmp_path: Path) -> None:
    text = rendered(tmp_path, simulated.run(900, scored=False))
    assert "Not computed: the statistics were switched off." in text
    assert "deflated Sharpe ratio (the statistics did not run)" in text
    assert "Net return by month" in text


def test_a_run_that_never_traded_has_a_page(tmp_path: Path) -> None:
    text = rendered(tmp_path, simulated.run(900, trades=False))
    assert "No order was filled, so nothing was paid." in text
    assert "No round trip was closed" in text


def test_a_sample_run_says_so_in_title_banner_and_heading(tmp_path: Path) -> None:
    text = rendered(tmp_path, simulated.run(400, kind=DataKind.SAMPLE))
    assert re.search(r"<title>SAMPLE", text)
    assert re.search(r"<h1>SAMPLE", text)
    assert "every price on this page was simulated" in text


def test_a_real_run_says_nothing_of_samples(full: str) -> None:
    assert "SAMPLE" not in full


@pytest.mark.parametrize("table", [artefacts.FORECASTS, artefacts.FILLS, artefacts.EQUITY])
def test_a_page_is_made_even_when_a_table_is_absent(tmp_path: Path, table: str) -> None:
    artefacts.save(tmp_path, simulated.run(900))
    (tmp_path / table).unlink()
    assert "<h1>" in render_run_page(tmp_path).read_text()


def test_a_manifest_alone_makes_a_page(tmp_path: Path) -> None:
    made = simulated.run(300).manifest
    bare = made.model_copy(update={"strategy": None, "benchmark": {}, "forecast": {}, "verdict": None, "config": {}, "timing_s": {}})
    empty = RunArtefacts(bare, artefacts.empty_forecasts(), artefacts.empty_fills(), artefacts.empty_equity())
    text = rendered(tmp_path, empty)
    assert text.count("Not computed") >= 5


def test_text_from_the_run_cannot_become_markup(tmp_path: Path) -> None:
    run = simulated.run(400)
    evil = "<script>alert(1)</script>"
    fills = run.fills.assign(reason=f"</script>{evil}")
    text = rendered(tmp_path, replace(run, manifest=run.manifest.model_copy(update={"name": evil}), fills=fills))
    assert evil not in text
    assert "&lt;script&gt;" in text


def test_the_folder_stands_alone(tmp_path: Path) -> None:
    text = rendered(tmp_path, simulated.run(400))
    assert re.findall(r'(?:src|href)="((?!data:|#)[^"]*)"', text.split('<script type="application/json"')[0] + text[-20_000:])
    shutil.copytree(tmp_path / "run", tmp_path / "copy" / "elsewhere")
    assert (tmp_path / "copy" / "elsewhere" / "plotly.min.js").stat().st_size > 1_000_000
    assert re.findall(r'(?:src|href)="https?:', text) == []


def test_two_runs_share_one_copy_of_plotly(tmp_path: Path) -> None:
    for name in ("a", "b"):
        artefacts.save(tmp_path / name, simulated.run(300))
        render_run_page(tmp_path / name)
    assert (tmp_path / "a" / "plotly.min.js").samefile(tmp_path / "b" / "plotly.min.js")


def test_the_same_run_makes_the_same_page(tmp_path: Path) -> None:
    assert rendered(tmp_path / "one", simulated.run(500)) == rendered(tmp_path / "two", simulated.run(500))


def test_a_folder_without_a_run_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunUnreadable):
        render_run_page(tmp_path)


def test_daily_bars_of_an_equity_make_a_page(tmp_path: Path) -> None:
    text = rendered(tmp_path, simulated.run(500, symbols=("SPY",), timeframe="1d"))
    assert "SPY 1d" in text


def test_a_reason_is_looked_for_upwards() -> None:
    made = simulated.run(300).manifest.model_copy(update={"not_computed": {"strategy": "no cash", "strategy.pbo": "no sweep"}})
    assert reason_for(made, "strategy.pbo", "?") == "no sweep"
    assert reason_for(made, "strategy.dsr", "?") == "no cash"
    assert reason_for(made, "forecast", "?") == "?"


def test_the_index_lists_runs_newest_first_and_names_the_damaged_one(tmp_path: Path) -> None:
    made = simulated.run(300)
    for day, name in ((1, "older"), (2, "newer")):
        when = made.manifest.created + pd.Timedelta(days=day)
        artefacts.save(tmp_path / name, replace(made, manifest=made.manifest.model_copy(update={"created": when, "run_id": name})))
        render_run_page(tmp_path / name)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    assert [entry.folder for entry in entries(tmp_path)] == ["newer", "older", "broken"]
    text = render_run_index(tmp_path, tmp_path / "sessions").read_text()
    assert text.index("newer/index.html") < text.index("older/index.html") < text.index("cannot be read")
    assert "no edge" in text


def test_the_index_links_pages_that_are_there(tmp_path: Path) -> None:
    artefacts.save(tmp_path / "killed", simulated.run(300))
    text = render_run_index(tmp_path, tmp_path / "sessions").read_text()
    assert "killed/index.html" not in text and "no page" in text
    render_run_page(tmp_path / "killed")
    text = render_run_index(tmp_path, tmp_path / "sessions").read_text()
    assert "killed/index.html" in text and "no page" not in text


def test_the_page_links_the_tearsheet_exactly_where_there_is_one(tmp_path: Path) -> None:
    artefacts.save(tmp_path, simulated.run(900))
    write_page = prepare_run_page(tmp_path)
    text = write_page().read_text(encoding="utf-8")
    assert 'href="tearsheet.html"' not in text and "No tearsheet: it was not made; python -m reports" in text
    with TearsheetProcess() as tearsheet:
        tearsheet.submit(tmp_path)
        tearsheet.wait()
    text = write_page().read_text(encoding="utf-8")
    assert 'href="tearsheet.html"' in text and "No tearsheet" not in text


def test_the_page_says_why_a_tearsheet_failed(tmp_path: Path) -> None:
    artefacts.save(tmp_path, simulated.run(900))
    with TearsheetProcess() as tearsheet:
        assert tearsheet._process is not None
        tearsheet._process.kill()
        tearsheet._process.wait()
        tearsheet.submit(tmp_path)
        tearsheet.wait()
    assert "No tearsheet: the process that draws it did not finish." in render_run_page(tmp_path).read_text(encoding="utf-8")


def test_an_index_of_nothing_tells_how_to_begin(tmp_path: Path) -> None:
    assert "python run_backtest.py" in render_run_index(tmp_path, tmp_path / "sessions").read_text()


def test_the_charts_data_is_strict_json(full: str) -> None:
    text = re.search(r'<script type="application/json" id="chart-data">(.*?)</script>', full, re.DOTALL)[1]
    payload = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert {"equity", "drawdown", "exposure", "price:BTC/USDT"} <= {chart["id"] for chart in payload["charts"]}


def test_scores_of_the_manifest_are_shown_rather_than_counted_again(tmp_path: Path) -> None:
    run = simulated.run(900)
    told = run.manifest.forecast["BTC/USDT"]
    year = {"n": 4321, "rank_ic": 0.123, "accuracy": 0.5, "accuracy_top10": 0.5, "coverage_90": 0.9}
    extra = {"calibration": {"crps_skill": 0.031}, "by_year": {"2022": year}, "by_regime": {"calm": year}}
    scored = told.model_copy(update=extra)
    text = rendered(tmp_path, replace(run, manifest=run.manifest.model_copy(update={"forecast": {"BTC/USDT": scored}})))
    assert "4,321" in text
    assert "3.1 % better than a volatility forecast" in text
    assert "Calm" in text


def test_what_bears_on_luck_is_shown_where_it_was_computed(tmp_path: Path) -> None:
    run = simulated.run(900)
    luck = {"random_entries_p": 0.034, "spa_p": {"buy_and_hold": 0.2}, "minimum_track_record_years": 5.5, "expected_best_sharpe": None}
    strategy = run.manifest.strategy.model_copy(update=luck)
    text = rendered(tmp_path, replace(run, manifest=run.manifest.model_copy(update={"strategy": strategy})))
    assert "0.034" in text
    assert "No better than buy and hold" in text
    assert "Best Sharpe of worthless trials" not in text


@pytest.mark.parametrize(("timeframe", "days"), [("15min", 7), ("1h", 30), ("1d", 730)])
def test_the_price_opens_on_as_many_days_as_can_be_read(timeframe: str, days: int) -> None:
    assert price_days(pd.date_range("2022-01-01", periods=5000, freq=timeframe.replace("d", "D"), tz="UTC")) == days


def without(column: str, **values: object) -> Callable[[RunArtefacts], RunArtefacts]:
    """A run whose forecasts lost one thing."""
    return lambda run: replace(run, forecasts=run.forecasts.assign(**{column: np.nan, **values}))


ODD: dict[str, Callable[[RunArtefacts], RunArtefacts]] = {
    "an account that was lost": lambda run: replace(run, equity=run.equity.assign(equity=np.linspace(10_000, -50, len(run.equity)))),
    "no probability": without("p_up"),
    "no quantiles": without("q05", q95=np.nan),
    "no outcomes yet": without("realised"),
    "no opinion": without("scale", location=0.0),
    "holes in the equity": lambda run: replace(run, equity=run.equity[run.equity.index.hour != 3].reindex(run.equity.index)),
    "one bar": lambda run: replace(run, equity=run.equity.iloc[:1]),
    "no benchmark": lambda run: replace(run, equity=run.equity.drop(columns=["buy_and_hold", "volatility_targeted", "exposure"])),
    "fills without a reason": lambda run: replace(run, fills=run.fills.assign(reason=None)),
    "two horizons": lambda run: replace(run, forecasts=pd.concat([run.forecasts, run.forecasts.assign(horizon=24)], ignore_index=True)),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_run_still_has_a_page(tmp_path: Path, name: str) -> None:
    text = rendered(tmp_path, ODD[name](simulated.run(700)))
    assert "<h1>" in text
    assert ">nan" not in text
    assert "None" not in re.sub(r"<script.*", "", text, flags=re.DOTALL)
