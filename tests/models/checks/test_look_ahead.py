"""Planted violations are caught and named; honest functions pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.series import join_as_of
from forwardtrader.models.checks.look_ahead import Leak, LookAheadResult, Proof, last_bar_bump, publication, truncation


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 600)))
    frame = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "volume": rng.exponential(1.0, 600)}
    return pd.DataFrame(frame, index=pd.date_range("2022-01-01", periods=600, freq="h", tz="UTC"))


def honest(bars: pd.DataFrame) -> pd.DataFrame:
    change = bars["close"].pct_change()
    return pd.DataFrame({"momentum": bars["close"].pct_change(12), "spread": change.rolling(20).std(), "volume": bars["volume"]})


def with_column(name: str, column: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"honest": column.shift(1), name: column})


def z_score(bars: pd.DataFrame) -> pd.DataFrame:
    close = bars["close"]
    return pd.DataFrame({"honest": close.shift(1), "z_score": (close - close.mean()) / close.std()})


def shifted(bars: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"honest": bars["close"].shift(1), "tomorrow": bars["close"].shift(-1)})


def filled(bars: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"honest": bars["close"].shift(1), "filled": bars["close"].rolling(48).mean().bfill()})


def centred(bars: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"honest": bars["close"].shift(1), "centred": bars["close"].rolling(9, center=True).mean()})


def test_an_honest_function_passes_both_proofs(bars: pd.DataFrame) -> None:
    assert truncation(honest, bars).passed
    assert last_bar_bump(honest, bars).passed
    assert truncation(honest, bars).leak is Leak.NONE


@pytest.mark.parametrize(
    ("function", "offender", "leak"),
    [
        (z_score, "z_score", Leak.WHOLE_SAMPLE),
        (shifted, "tomorrow", Leak.AHEAD),
        (filled, "filled", Leak.FILLED_BACKWARDS),
        (centred, "centred", Leak.AHEAD),
    ],
)
def test_truncation_catches_and_names_the_offender(bars: pd.DataFrame, function, offender: str, leak: Leak) -> None:
    proof = truncation(function, bars)
    assert not proof.passed
    assert proof.offenders == (offender,)
    assert proof.leak is leak
    assert offender in proof.detail
    assert leak.value in proof.detail


@pytest.mark.parametrize(("function", "offender", "leak"), [(z_score, "z_score", Leak.WHOLE_SAMPLE), (shifted, "tomorrow", Leak.AHEAD)])
def test_the_bump_catches_and_names_the_offender(bars: pd.DataFrame, function, offender: str, leak: Leak) -> None:
    proof = last_bar_bump(function, bars)
    assert (proof.passed, proof.offenders, proof.leak) == (False, (offender,), leak)


def test_a_leak_of_one_bar_is_measured(bars: pd.DataFrame) -> None:
    assert "by 1 bar" in truncation(shifted, bars).detail


def test_every_seed_catches_the_planted_violations(bars: pd.DataFrame) -> None:
    for seed in range(15):
        for function in (z_score, shifted, filled, centred):
            assert not truncation(function, bars, seed=seed).passed


def test_a_fill_across_a_hole_in_a_factor_is_caught(bars: pd.DataFrame) -> None:
    with_factor = bars.assign(mood=np.where(np.arange(600) % 100 < 95, 1.0 + np.arange(600), np.nan))
    proof = truncation(lambda frame: frame[["mood"]].bfill(), with_factor)
    assert proof.offenders == ("mood",)
    assert truncation(lambda frame: frame[["mood"]].ffill(), with_factor).passed


def test_a_function_that_ignores_the_newest_bar_makes_the_bump_blind(bars: pd.DataFrame) -> None:
    proof = last_bar_bump(lambda frame: frame[["close"]].shift(1), bars)
    assert (proof.passed, proof.leak) == (False, Leak.BLIND)


def test_the_bump_says_which_fields_were_seen(bars: pd.DataFrame) -> None:
    detail = last_bar_bump(lambda frame: frame[["close"]] * 1.0, bars).detail
    assert detail.endswith("reacts to close")


def test_a_difference_in_the_last_bit_is_a_difference(bars: pd.DataFrame) -> None:
    def almost(frame: pd.DataFrame) -> pd.DataFrame:
        out = frame[["close"]].copy()
        if len(frame) == len(bars):
            out.iloc[0, 0] = np.nextafter(out.iloc[0, 0], 1e9)
        return out

    assert not truncation(almost, bars).passed


def test_text_is_compared_too(bars: pd.DataFrame) -> None:
    def model(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"model_id": [f"trained-on-{len(frame)}"] * len(frame)}, index=frame.index)

    assert truncation(model, bars).offenders == ("model_id",)


def test_a_moment_too_early_is_passed_over(bars: pd.DataFrame) -> None:
    def needs_history(frame: pd.DataFrame) -> pd.DataFrame:
        if len(frame) < 100:
            raise TooLittleHistory("more")
        return frame[["close"]] * 1.0

    assert truncation(needs_history, bars).passed


def test_a_proof_that_looked_at_nothing_neither_passes_nor_accuses(bars: pd.DataFrame, facts: pd.DataFrame) -> None:
    hour, late = pd.Timedelta(hours=1), facts.assign(known_at=facts["known_at"] + pd.Timedelta(days=900))
    gone = bars.copy()
    gone.iloc[-1] = np.nan
    found = (
        truncation(honest, bars.iloc[:2]),
        truncation(lambda frame: frame[["close"]] * np.nan, bars),
        last_bar_bump(honest, gone),
        last_bar_bump(honest, bars.iloc[:1]),
        last_bar_bump(honest, bars, fields=("mood",)),
        publication(joined("known_at"), bars, late, hour),
        publication(lambda frame, _: frame[["close"]] * np.nan, bars, facts, hour),
    )
    assert [(proof.result, proof.passed) for proof in found] == [(LookAheadResult.NOT_TESTABLE, False)] * len(found)


def test_columns_without_a_value_are_not_said_to_be_swept(bars: pd.DataFrame) -> None:
    proof = truncation(lambda frame: frame[["close", "volume"]].assign(volume=np.nan), bars)
    assert proof.passed
    assert "1 columns" in proof.detail and proof.detail.endswith("; volume had no value to compare")


def test_a_field_that_is_zero_on_the_newest_bar_is_changed_all_the_same(bars: pd.DataFrame) -> None:
    quiet = bars.assign(volume=np.where(np.arange(600) == 599, 0.0, bars["volume"]))
    leak = lambda frame: frame[["close"]].assign(ahead=frame["volume"].shift(-1))  # noqa: E731
    assert last_bar_bump(leak, quiet, fields=("volume",)).offenders == ("ahead",)


def test_a_field_that_is_missing_on_the_newest_bar_is_not_said_to_be_changed(bars: pd.DataFrame) -> None:
    hole = bars.assign(mood=np.where(np.arange(600) == 599, np.nan, 1.0))
    proof = last_bar_bump(lambda frame: frame[["close"]] * 1.0, hole, fields=("close", "mood"))
    assert proof.passed
    assert "mood" not in proof.detail


@pytest.fixture(scope="module")
def facts() -> pd.DataFrame:
    describes = pd.date_range("2022-01-01", periods=24, freq="D", tz="UTC")
    values = np.random.default_rng(1).normal(size=24)
    return pd.DataFrame({"describes": describes, "known_at": describes + pd.Timedelta(hours=36), "value": values})


def joined(on: str):
    def compute(bars: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
        closes = pd.DataFrame({"close": bars.index + pd.Timedelta(hours=1)})
        mood = pd.merge_asof(closes, facts.sort_values(on), left_on="close", right_on=on)["value"].to_numpy()
        return pd.DataFrame({"price": bars["close"], "mood": mood}, index=bars.index)

    return compute


def test_a_factor_joined_on_its_reference_date_is_caught_and_named(bars: pd.DataFrame, facts: pd.DataFrame) -> None:
    proof = publication(joined("describes"), bars, facts, pd.Timedelta(hours=1))
    assert (proof.passed, proof.offenders, proof.leak) == (False, ("mood",), Leak.REFERENCE_DATE)


def test_few_facts_among_many_bars_are_looked_at_all_the_same(facts: pd.DataFrame) -> None:
    index = pd.date_range("2019-01-01", "2022-01-26", freq="h", tz="UTC")
    bars = pd.DataFrame({"close": np.arange(1.0, len(index) + 1.0)}, index=index)
    few = facts.tail(2)
    assert publication(joined("known_at"), bars, few, pd.Timedelta(hours=1)).result is LookAheadResult.PASSED
    assert publication(joined("describes"), bars, few, pd.Timedelta(hours=1)).result is LookAheadResult.FAILED


def test_a_factor_joined_on_the_moment_it_became_known_passes(bars: pd.DataFrame, facts: pd.DataFrame) -> None:
    assert publication(joined("known_at"), bars, facts, pd.Timedelta(hours=1)).passed


def test_a_proof_is_a_record_that_cannot_be_changed() -> None:
    proof = Proof(name="n", passed=True, detail="d")
    with pytest.raises(AttributeError):
        proof.passed = False  # type: ignore[misc]


def test_the_join_of_the_house_passes(bars: pd.DataFrame, facts: pd.DataFrame) -> None:
    class Mood:
        name = "mood"

        def __init__(self, observations: pd.DataFrame) -> None:
            self._observations = observations.astype({"describes": "datetime64[ns, UTC]", "known_at": "datetime64[ns, UTC]"})

        def observations(self) -> pd.DataFrame:
            return self._observations

    def compute(frame: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        return join_as_of(pd.DatetimeIndex(frame.index), Timeframe.parse("1h"), Mood(known))[["value"]]

    assert publication(compute, bars, facts, pd.Timedelta(hours=1)).passed
