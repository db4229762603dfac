from __future__ import annotations

import threading
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core import fingerprint
from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports import artefacts
from tests.reports import simulated


@pytest.fixture(scope="module")
def run() -> artefacts.RunArtefacts:
    return simulated.run(900, symbols=("BTC/USDT", "ETH/USDT"))


def test_what_is_saved_is_loaded(tmp_path: Path, run: artefacts.RunArtefacts) -> None:
    saved = artefacts.save(tmp_path, run)
    loaded = artefacts.load(tmp_path)
    assert loaded.manifest == saved.manifest
    for name in ("forecasts", "fills", "equity"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(run, name), check_freq=False)
    assert loaded.symbols == ["BTC/USDT", "ETH/USDT"]


def test_fingerprints_survive_the_file_and_tell_frames_apart(tmp_path: Path, run: artefacts.RunArtefacts) -> None:
    saved = artefacts.save(tmp_path, run)
    assert artefacts.with_fingerprints(artefacts.load(tmp_path)).fingerprints == saved.manifest.fingerprints
    assert saved.manifest.fingerprints["equity"] == fingerprint.of_frame(run.equity)
    changed = run.equity.copy()
    changed.iloc[5, 0] += 1e-9
    assert fingerprint.of_frame(changed) != saved.manifest.fingerprints["equity"]


def test_equal_runs_have_equal_fingerprints() -> None:
    first, second = (artefacts.with_fingerprints(simulated.run(400)) for _ in range(2))
    assert first.fingerprints == second.fingerprints


def test_an_absent_table_is_an_empty_one(tmp_path: Path, run: artefacts.RunArtefacts) -> None:
    artefacts.save(tmp_path, run)
    for name in (artefacts.FORECASTS, artefacts.FILLS, artefacts.EQUITY):
        (tmp_path / name).unlink()
    loaded = artefacts.load(tmp_path)
    assert loaded.forecasts.columns.tolist() == artefacts.FORECAST_COLUMNS
    assert loaded.fills.columns.tolist() == artefacts.FILL_COLUMNS
    assert (len(loaded.equity), loaded.symbols) == (0, [])


def test_a_damaged_table_is_one_clear_error(tmp_path: Path, run: artefacts.RunArtefacts) -> None:
    artefacts.save(tmp_path, run)
    path = tmp_path / artefacts.EQUITY
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunUnreadable, match=r"equity\.parquet is damaged"):
        artefacts.load(tmp_path)


def test_a_table_is_read_whole_while_a_session_replaces_it(tmp_path: Path) -> None:
    path, lengths, enough = tmp_path / artefacts.EQUITY, set[int](), threading.Event()
    table = pd.DataFrame({"equity": range(2000), "cash": range(2000)}, dtype="float64")

    def replace_for_ever() -> None:
        count = 0
        while not enough.is_set():
            count = count % 1900 + 37
            artefacts.write_table(path, table[:count])

    artefacts.write_table(path, table)
    writer = threading.Thread(target=replace_for_ever)
    writer.start()
    try:
        for _ in range(300):
            read = artefacts.read_table(path, table[:0])
            pd.testing.assert_frame_equal(read, table[: len(read)])
            lengths.add(len(read))
    finally:
        enough.set()
        writer.join()
    assert len(lengths) > 5
