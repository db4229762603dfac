"""The page of a sweep, from its two files alone."""

from __future__ import annotations

import html
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import markupsafe
import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.core.types import DataKind, Verdict
from forwardtrader.reports import sweep_manifest
from forwardtrader.reports.artefacts import write_table
from forwardtrader.reports.pages.run_index import render_run_index
from forwardtrader.reports.pages.sweep_page import render_sweep_page
from forwardtrader.reports.sections.optimisation import PathSharpes
from forwardtrader.reports.sweep_manifest import SweepManifest, SweepPoint
from tests.reports.browser import look_at

AXES = {"strategies.margin": [0.5, 1.0, 1.5], "models.units": [8, 16], "strategies.allow_short": [True, False]}


def swept(folder: Path, keys: int, *, search: bool = False, kind: DataKind = DataKind.REAL, **changes: object) -> Path:
    """A sweep's folder over the first `keys` axes."""
    axes = dict(list(AXES.items())[:keys])
    points = pd.DataFrame(list(itertools.product(*axes.values())), columns=list(axes))
    rng = np.random.default_rng(0)
    numbers = {
        name: rng.standard_normal(len(points)) for name in ("score", "sharpe", "total_return", "max_drawdown", "turnover", "exposure")
    }
    write_table(folder / "points.parquet", points.assign(**numbers, trades=3))
    settings = {key: values[0] for key, values in axes.items()}
    point = SweepPoint(settings=settings, flags="--set strategies.margin=0.5", score=0.4, sharpe=0.9, total_return=0.1, max_drawdown=-0.2)
    day = datetime(2024, 1, 1, tzinfo=UTC)
    facts = {
        "sweep_id": folder.name,
        "created": day,
        "title": "BTC/USDT 1h",
        "first": day,
        "last": day,
        "keys": list(axes),
        "search": search,
    }
    told = {"points": len(points), "chosen": point, "peak": point, "number": 0, "run": "a-run", "kind": kind, "verdict": Verdict.NO_EDGE}
    sweep_manifest.write(folder, SweepManifest.model_validate(facts | told | {"pbo": 0.6, "dsr": 0.2, "trials": 7} | changes))
    return folder


@pytest.mark.parametrize(("keys", "charts"), [(1, ["surface"]), (2, ["surface-sharpe", "surface-score"]), (3, ["surface"])])
@pytest.mark.parametrize("search", [False, True])
def test_the_surface_is_drawn_for_any_number_of_keys(tmp_path: Path, keys: int, charts: list[str], search: bool) -> None:
    text = render_sweep_page(swept(tmp_path / "s", keys, search=search)).read_text(encoding="utf-8")
    payload = json.loads(text.split('id="chart-data">')[1].split("</script>")[0])
    assert [chart["id"] for chart in payload["charts"]] == charts
    assert all(f'data-chart="{name}"' in text for name in charts)
    drawn = {trace["type"] for chart in payload["charts"] for trace in chart["traces"]}
    assert drawn <= {"scatter", "bar"}  # plotly's bundle for finance, which pages carry, has no heat maps


def test_the_page_says_what_was_chosen_and_what_it_is_worth(tmp_path: Path) -> None:
    text = render_sweep_page(swept(tmp_path / "s", 2)).read_text(encoding="utf-8")
    assert "--set strategies.margin=0.5" in text
    assert "picking the winner is no better than chance" in text
    assert "lower median" in text


def test_the_purged_paths_and_what_the_trials_are_worth_stand_beside_the_plain_numbers(tmp_path: Path) -> None:
    paths = PathSharpes(
        sharpes=[-0.5, 0.1, 0.4, 1.2] * 30, folds=10, test_folds=5, purge=5, low=-0.5, median=0.25, high=1.2, below_zero=0.25
    )
    text = render_sweep_page(swept(tmp_path / "s", 2, paths=paths, effective_trials=2.4)).read_text(encoding="utf-8")
    assert "The 120 paths" in text
    assert "worth 2.4 independent ones" in text
    payload = json.loads(text.split('id="chart-data">')[1].split("</script>")[0])
    (chart,) = [chart for chart in payload["charts"] if chart["id"] == "paths"]
    assert sum(chart["traces"][0]["y"]) == 120


def test_numbers_that_were_not_computed_are_said_to_be_so(tmp_path: Path) -> None:
    text = render_sweep_page(swept(tmp_path / "s", 1, pbo=float("nan"), dsr=None, trials=None, verdict=None)).read_text(encoding="utf-8")
    assert "probability of overfitting was not computed" in text
    assert "deflated Sharpe ratio was not computed" in text


def test_a_simulated_market_says_so(tmp_path: Path) -> None:
    assert "simulated" in render_sweep_page(swept(tmp_path / "s", 1, kind=DataKind.SAMPLE)).read_text(encoding="utf-8")


def test_the_index_lists_sweeps_and_survives_a_broken_one(tmp_path: Path) -> None:
    render_sweep_page(swept(tmp_path / "fine", 2))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sweep.json").write_text("{", encoding="utf-8")
    text = render_run_index(tmp_path, tmp_path / "sessions").read_text(encoding="utf-8")
    assert 'href="fine/index.html"' in text
    assert "broken" not in text


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunUnreadable, match="run the sweep again"):
        render_sweep_page(tmp_path)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_draws_every_chart_within_the_screen(tmp_path: Path, width: int) -> None:
    paths = PathSharpes(
        sharpes=[0.01 * n for n in range(126)], folds=10, test_folds=5, purge=5, low=0.1, median=0.6, high=1.2, below_zero=0.0
    )
    pages = {str(n): render_sweep_page(swept(tmp_path / f"s{n}", n, paths=paths if n == 3 else None)) for n in (1, 2, 3)}
    found, console = look_at(pages, tmp_path, width)
    assert console == []
    assert {name: page["content"] for name, page in found.items() if page["content"] > width} == {}
    assert {name: page["drawn"] for name, page in found.items()} == {"1": 1, "2": 2, "3": 2}


def test_no_page_shows_a_secret_whatever_it_was_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "q7<Zk/3L'w9"
    folder = swept(tmp_path / "s", 1)
    points = pd.read_parquet(folder / "points.parquet")
    write_table(folder / "points.parquet", points.assign(**{"strategies.margin": secret}))
    monkeypatch.setenv("SOME_API_SECRET", secret)
    text = render_sweep_page(folder).read_text(encoding="utf-8")
    assert "***" in text
    for form in (secret, html.escape(secret), str(markupsafe.escape(secret)), json.dumps(secret).replace("<", "\\u003c")):
        assert form not in text
