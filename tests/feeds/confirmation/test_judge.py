"""Which of several venues can be trusted: planted faults, disputes, hysteresis, two quotes, restarts, and the same verdict everywhere."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.venues import FAULTS, HOUR, STEP, Fault, Rows, false_pauses, outcome, real_stretch, simulated
from forwardtrader.core.rooms.confirmation import ConfirmationSettings
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.feeds.confirmation.judge import VenueJudge
from forwardtrader.feeds.confirmation.judged import bars_of, count_faults, frame_of, judge
from forwardtrader.feeds.confirmation.verdict import Agreement, Verdict
from forwardtrader.feeds.confirmation.verdict import Fault as Kind
from tests.real_data import FOLDER

SHORT = ConfirmationSettings(confirm_window=51)


def judged(rows: Rows, settings: ConfirmationSettings = SHORT) -> list[Verdict]:
    return list(judge({name: frame_of(bars) for name, bars in rows.items()}, HOUR, settings).verdicts)


def changed(bars: list[Bar], place: int, factor: float, count: int = 1) -> list[Bar]:
    """The bars with every price of some of them multiplied."""
    return [
        Bar(b.at, *(price * factor for price in b[1:5]), b.volume) if place <= n < place + count else b for n, b in enumerate(bars)
    ]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_one_of_three_venues_is_found_within_two_bars_and_blamed_on_nobody_else(fault: Fault) -> None:
    found = [outcome(simulated(seed), fault, seed) for seed in range(3)]
    assert all(each.found and not each.others_blamed for each in found)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_one_of_three_venues_is_found_in_a_hundred_of_a_hundred(fault: Fault) -> None:
    found = [outcome(simulated(seed), fault, seed) for seed in range(100)]
    assert sum(each.found for each in found) == 100
    assert sum(each.others_blamed for each in found) <= 1


@pytest.mark.parametrize("factor", [1.02, 1 / 1.02, 10.0, 0.001])
def test_two_of_two_venues_that_disagree_block_entries_and_neither_is_blamed(factor: float) -> None:
    for name in ("traded", "second"):
        rows = simulated(1, 120, venues=2)
        rows[name] = changed(rows[name], 100, factor)
        verdict = judged(rows)[100]
        assert (verdict.agreement, verdict.faults, verdict.source) == (Agreement.DISAGREED, {}, "traded")
        assert "disagree" in verdict.objection


def test_features_see_another_venue_while_the_traded_one_is_alone_with_its_price_and_nothing_is_entered() -> None:
    rows = simulated(2, 130)
    rows["traded"] = changed(rows["traded"], 100, 1.02, 4)
    found = judge({name: frame_of(bars) for name, bars in rows.items()}, HOUR, SHORT)
    wrong = [v for v in found.verdicts if v.objection]
    assert [v.at // STEP for v in wrong] == list(range(100, 106))  # taken back at the third sound bar
    assert {v.source for v in wrong} == {"second"}
    assert "traded, which is traded, lies apart from the others" in wrong[0].objection
    true = frame_of(simulated(2, 130)["traded"]).loc[found.signals.index, "close"]
    assert np.abs(np.log(found.signals["close"] / true)).max() < 0.002
    assert not len(found.filled)


def test_a_confirming_venue_that_is_off_is_left_and_nothing_is_paused() -> None:
    rows = simulated(3, 130)
    rows["third"] = changed(rows["third"], 100, 0.1, 4)
    found = judge({name: frame_of(bars) for name, bars in rows.items()}, HOUR, SHORT)
    assert not found.objections()
    assert [v.faults for v in found.verdicts[99:107]] == [{}, *[{"third": Kind.DECIMAL}] * 6, {}]
    assert count_faults(found) == {"third": {"decimal": 1}}
    assert [after.at // STEP for _, after in found.changes()] == [0, 100, 106]


def test_bars_that_the_traded_venue_lacks_are_filled_with_its_last_price_and_features_see_the_other_one() -> None:
    rows = simulated(4, 130)
    rows["traded"] = [bar for bar in rows["traded"] if not 100 <= bar.at // STEP < 103]
    found = judge({name: frame_of(bars) for name, bars in rows.items()}, HOUR, SHORT)
    close = rows["traded"][99].close
    assert found.filled.to_numpy().tolist() == [[close, close, close, close, 0.0]] * 3
    assert list(found.signals.index) == list(found.filled.index)
    assert [v.at // STEP for v in found.verdicts if v.objection] == [100, 101, 102]
    assert found.verdicts[102].faults == {"traded": Kind.LATE}


def test_a_price_in_dollars_stands_beside_one_in_tethers_at_their_usual_distance_and_a_new_one_is_learned() -> None:
    rows = simulated(5, 260, venues=2)
    rows["second"] = changed(rows["second"], 0, 1.03, 260)
    verdicts = judged(rows)
    assert not any(v.objection for v in verdicts[60:])
    rows["second"] = changed(rows["second"], 100, 1.01, 160)
    blocked = [v.at // STEP for v in judged(rows)[60:] if v.objection]
    assert blocked[0] == 100
    assert blocked == list(range(100, blocked[-1] + 1))
    assert 20 <= len(blocked) <= 60  # half a window of 51


def test_three_venues_of_which_no_two_agree_are_a_dispute() -> None:
    rows = simulated(6, 120)
    rows["second"], rows["third"] = changed(rows["second"], 100, 1.02), changed(rows["third"], 100, 0.98)
    verdict = judged(rows)[100]
    assert (verdict.agreement, verdict.faults) == (Agreement.DISAGREED, {})


@pytest.mark.parametrize(
    ("bar", "kind"),
    [
        (Bar(100 * STEP, 1.0, 0.5, 2.0, 1.0, 1.0), Kind.INVALID),
        (Bar(100 * STEP, -1.0, 1.0, -1.0, 1.0, 1.0), Kind.INVALID),
        (Bar(100 * STEP, float("nan"), 1.0, 1.0, 1.0, 1.0), Kind.INVALID),
        (Bar(100 * STEP, float("inf"), float("inf"), 1.0, 1.0, 1.0), Kind.INVALID),
        (Bar(98 * STEP, 1.0, 1.0, 1.0, 1.0, 1.0), Kind.OUT_OF_ORDER),
    ],
)
def test_prices_that_cannot_be_and_bars_out_of_order_are_faults_even_of_one_of_two(bar: Bar, kind: Kind) -> None:
    rows = simulated(7, 120, venues=2)
    judging = VenueJudge(("traded", "second"), STEP, SHORT)
    for place in range(100):
        for name in rows:
            judging.add(name, rows[name][place])
        judging.decide(place * STEP)
    judging.add("traded", rows["traded"][100])
    judging.add("second", rows["second"][100]) if kind is Kind.OUT_OF_ORDER else None
    judging.add("second", bar)
    assert judging.decide(100 * STEP).faults == {"second": kind}


def test_a_quiet_market_is_not_frozen_nor_is_a_venue_where_bars_without_trades_are_usual() -> None:
    flat = [Bar(n * STEP, 1.0, 1.0, 1.0, 1.0, 0.0) for n in range(90)]
    assert not any(v.faults for v in judged({"traded": flat, "second": flat}))
    rows, random = simulated(8, 300, venues=2), np.random.default_rng(0)
    thin = rows["second"][:1]
    for bar in rows["second"][1:]:
        last = thin[-1].close
        thin.append(Bar(bar.at, last, last, last, last, 0.0) if random.random() < 0.5 else bar)
    frozen = sum(v.faults.get("second") is Kind.FROZEN for v in judged({"traded": rows["traded"], "second": thin})[60:])
    assert frozen < 24  # a tenth; each run of two would be a half


@given(st.integers(0, 50), st.integers(1, 118), st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_a_session_judges_as_a_backtest_does_whatever_came_first_and_whenever_it_was_restarted(
    seed: int, stop: int, random: object
) -> None:
    rows = simulated(seed, 120)
    spoilt = np.random.default_rng(seed)
    rows["second"] = changed(rows["second"], int(spoilt.integers(40, 110)), 1.05, 3)
    rows["traded"] = [bar for bar in rows["traded"] if bar.at // STEP not in spoilt.integers(30, 110, 3)]
    whole = judge({name: frame_of(bars) for name, bars in rows.items()}, HOUR, SHORT)
    judging, verdicts, signals = VenueJudge(tuple(rows), STEP, SHORT), [], []
    for at in range(rows["traded"][0].at, rows["traded"][-1].at + 1, STEP):
        arrivals = [
            (name, bar) for name, bars in rows.items() for bar in bars if bar.at == at or (bar.at == at + STEP and name != "traded")
        ]
        random.shuffle(arrivals)  # type: ignore[attr-defined]
        for name, bar in arrivals:
            judging.add(name, bar)
        verdict = judging.decide(at)
        verdicts.append(verdict)
        if verdict.source not in ("", "traded"):
            signals.append(judging.signal(verdict))
        if at // STEP == stop:
            saved = json.loads(json.dumps(judging.as_dict()))
            judging = VenueJudge(tuple(rows), STEP, SHORT)
            assert judging.restore(saved)
    assert tuple(verdicts) == whole.verdicts
    assert signals == bars_of(whole.signals)


@given(st.integers(0, 1000), st.integers(2, 119))
@settings(max_examples=15, deadline=None)
def test_no_verdict_depends_on_a_later_bar(seed: int, until: int) -> None:
    rows = simulated(seed, 120)
    rows["third"] = changed(rows["third"], until, 3.0, 50)
    short = {name: bars[:until] for name, bars in rows.items()}
    assert judged(rows)[:until] == judged(short)


def test_the_state_of_other_venues_or_settings_is_not_taken_over() -> None:
    saved = VenueJudge(("a", "b"), STEP, SHORT).as_dict()
    assert VenueJudge(("a", "b"), STEP, SHORT).restore(saved)
    assert not VenueJudge(("b", "a"), STEP, SHORT).restore(saved)
    assert not VenueJudge(("a", "b"), STEP * 4, SHORT).restore(saved)
    assert not VenueJudge(("a", "b"), STEP, ConfirmationSettings()).restore(saved)
    assert not VenueJudge(("a", "b"), STEP, SHORT).restore({})


@pytest.mark.skipif(not FOLDER.is_dir(), reason="real candles are not beside the project")
def test_sound_venues_are_paused_less_than_once_a_month_on_real_candles_before_2022() -> None:
    frames = {name: _real(name) for name in ("binance_spot_BTCUSDT_1h", "kraken_spot_BTCUSD_1h")}
    count, months = false_pauses(frames)
    assert months > 11
    assert count < months
    assert real_stretch(FOLDER, (*frames, "binance_perp_BTCUSDT_1h"))(1)["third"][0].at == 0


def _real(name: str) -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / f"{name}.csv.gz", index_col="timestamp")
    frame.index = pd.to_datetime(frame.index, utc=True).as_unit("ns")
    return frame[frame.index < pd.Timestamp("2022-01-01", tz="UTC")].astype(np.float64)


def test_a_verdict_says_why_nothing_is_entered_and_also_which_venues_are_not_trusted() -> None:
    objection = "the venues disagree about the price (bybit -295.6 bp)"
    disputed = Verdict(0, Agreement.DISAGREED, "binance", {"bybit": Kind.LATE}, objection)
    assert disputed.detail == f"{objection}; bybit is late; features see binance"
    apart = Verdict(
        0, Agreement.DISAGREED, "kraken", {"binance": Kind.OUTLIER}, f"binance, which is traded, {Kind.OUTLIER}; trusted: kraken"
    )
    assert apart.detail == "binance, which is traded, lies apart from the others; trusted: kraken; features see kraken"
    assert Verdict(0, Agreement.AGREED, "binance").detail == "the venues agree; features see binance"
