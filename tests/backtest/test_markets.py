"""The harness that judges markets whose truth is known: resumable, and honest about what it counted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.markets import __main__ as markets
from benchmarks.markets.page import Result, page, wilson
from benchmarks.markets.panels import base_of, common_bars, null_panel, planted_panel, run_panel
from forwardtrader.core.types import Verdict

ONE = Result(
    kind="null", seed=0, digest="d", verdict=str(Verdict.NO_EDGE), reasons=["the forecasts do not rank returns better than chance"],
    rank_ic=0.01, attainable=0.0, sharpe=-0.2, oracle_sharpe=float("nan"), bets=20.0, psr=0.3, random_entries_p=0.4, shifted_p=0.3,
    shifted_sharpe=-0.1, seconds=3.0, cpu_seconds=3.0,
)  # fmt: skip


def found(kind: str, edges: int, count: int) -> list[Result]:
    return [
        replace(ONE, kind=kind, seed=k, verdict=str(Verdict.EDGE if k < edges else Verdict.NO_EDGE), attainable=0.1, oracle_sharpe=4.0)
        for k in range(count)
    ]


def row(text: str, kind: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| {kind} |"))


def test_the_table_says_whether_what_was_asked_is_reached() -> None:
    good = page([*found("null", 10, 200), *found("planted", 40, 50)], command="c", made="m", machine="m", how="h")
    assert (row(good, "null").split("|")[-2], row(good, "planted").split("|")[-2]) == (" yes ", " yes ")
    bad = page([*found("null", 11, 200), *found("planted", 39, 50)], command="c", made="m", machine="m", how="h")
    assert (row(bad, "null").split("|")[-2], row(bad, "planted").split("|")[-2]) == (" **no** ", " **no** ")


def test_the_table_names_the_question_at_which_a_judgement_ended() -> None:
    assert "- null: 200 forecasts no better than chance" in page(found("null", 0, 200), command="c", made="m", machine="m", how="h")


def test_a_judgement_may_end_at_several_parts_of_the_last_question() -> None:
    reasons = ["the forecasts rank returns better than chance", "the timing does not beat random entries", "its 0.9 is not beyond that"]
    told = page([replace(ONE, reasons=reasons)], command="c", made="m", machine="m", how="h")
    assert "- null: 1 not better than random entries nor the same strategy on shifted forecasts" in told
    assert "| null | shifted forecasts | 1 | 0.0% (0.0% to 79.3%) | 100% |" in told


def test_the_interval_of_a_share_is_wilsons() -> None:
    # 10 of 200, worked out by hand from Wilson's formula.
    low, high = wilson(10, 200)
    assert (round(low, 4), round(high, 4)) == (0.0274, 0.0896)


def test_the_same_command_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def results(tasks: Sequence[markets.Task], workers: int, run: object) -> Iterator[Result]:
        for task in tasks:
            asked.append((task.kind, task.seed))
            yield replace(ONE, kind=task.kind, seed=task.seed, digest=task.digest, oracle_sharpe=1.0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(markets, "results_of", results)
    words = ["--results", str(tmp_path / "r.jsonl"), "--page", str(tmp_path / "p.md"), "--seed", "5"]
    markets.main([*words, "--null", "2", "--planted", "1"])
    assert asked == [("planted", 5), ("null", 5), ("null", 6)]
    asked.clear()
    markets.main([*words, "--null", "3", "--planted", "1"])
    assert asked == [("null", 7)]
    assert "--null 3 --planted 1" in (tmp_path / "p.md").read_text()


def test_results_of_other_code_and_lines_cut_short_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [json.dumps(asdict(replace(ONE, seed=1))), json.dumps(asdict(replace(ONE, seed=2, digest="older"))), '{"kind": "nu']
    path.write_text("\n".join(lines))
    assert [r.seed for r in markets.done_before(path, "d")] == [1]


def test_other_settings_and_other_candles_are_another_table() -> None:
    digests = {
        markets.digest_of([], []),
        markets.digest_of(["models.units=8"], []),
        markets.digest_of([], [Path("other.csv")]),
        markets.digest_of([], [], panels=True),
    }
    assert len(digests) == 4


def logs(bars: pd.DataFrame) -> np.ndarray:
    return np.diff(np.log(bars["close"].to_numpy()))


def windows(bars: int = 3000) -> dict[str, pd.DataFrame]:
    base = base_of(())
    index = common_bars(base)[:bars]
    return {symbol: history.candles.loc[index] for symbol, history in base.items()}


def test_a_null_panel_moves_together_and_its_direction_is_tossed_for_all_at_once() -> None:
    given = windows()
    made = null_panel(given, 3)
    (first, second), (one, two) = ([logs(frame) for frame in list(frames.values())[:2]] for frames in (given, made))
    np.testing.assert_allclose(np.abs(one), np.abs(first), atol=2e-3)
    large = (np.abs(first) > 2e-3) & (np.abs(second) > 2e-3)
    assert (np.sign(one * two)[large] == np.sign(first * second)[large]).mean() > 0.99
    assert abs(np.corrcoef(np.sign(one), np.sign(first))[0, 1]) < 0.1
    assert abs(np.mean(np.expm1(one))) < 3 * np.std(one) / np.sqrt(len(one))


def test_a_planted_panel_has_a_signal_of_its_own_in_each_and_noise_in_common() -> None:
    made, attainable = planted_panel(windows(), 3)
    moves = np.array([logs(frame) for frame in made.values()])
    signals = np.array([np.log(frame["volume"].to_numpy())[:-1] for frame in made.values()])
    assert 0.07 < attainable < 0.16
    assert np.corrcoef(moves)[0, 1] > 0.3
    assert abs(np.corrcoef(signals)[0, 1]) < 0.25
    assert all(0.05 < np.corrcoef(signal, move)[0, 1] < 0.2 for signal, move in zip(signals, moves, strict=True))


@pytest.mark.slow
def test_a_null_panel_is_judged_by_the_whole_pipeline(tmp_path: Path) -> None:
    result = run_panel(markets.Task("null", 1, (), (), tmp_path, "d"))
    assert result.verdict in {str(Verdict.NO_EDGE), str(Verdict.NOT_ENOUGH_DATA)}
    assert result.bets > 0 and abs(result.rank_ic) < 0.05


@pytest.mark.slow
def test_a_planted_market_is_judged_by_the_whole_pipeline(tmp_path: Path) -> None:
    task = markets.Task("planted", 1, ("models.units=4",), (), tmp_path, "d")
    result = markets.run(task)
    assert result.verdict in set(map(str, Verdict))
    assert result.reasons
    assert 0.09 < result.attainable < 0.14
    assert result.oracle_sharpe > 2.0
