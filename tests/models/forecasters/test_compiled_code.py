"""Compiled code is shared on one machine and never taken from another."""

from __future__ import annotations

import pickle
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.folds.work import FoldWork
from forwardtrader.models.forecasters.compiled_code import folder_here, machine, one_at_a_time
from forwardtrader.models.forecasters.xla import compiled, placed, prepare_jax
from tests.models.bars import simulated_bars


@pytest.fixture
def forget() -> Iterator[Callable[[], None]]:
    """Called once jax is set up: everything is kept in the folder that was set; afterwards, as before."""
    import jax
    from jax.experimental.compilation_cache.compilation_cache import reset_cache

    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}

    def forget() -> None:
        reset_cache()
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

    yield forget
    for name, value in before.items():
        jax.config.update(name, value)
    reset_cache()


def test_a_task_of_this_machine_brings_its_folder_along(tmp_path: Path) -> None:
    panel = Panel.of({"A/USD": simulated_bars(24 * 30)}, (1,), ("return_1_ago",))
    work = FoldWork(panel, ModelSettings(horizons=(1,)), "1h", tmp_path / "compiled")
    assert pickle.loads(pickle.dumps(work)).cache == tmp_path / "compiled"


def test_a_task_of_another_machine_uses_a_folder_of_the_user_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert folder_here(tmp_path / "theirs", "another " + machine()) == tmp_path / "cache/forwardtrader/compiled"
    assert not (tmp_path / "theirs").exists()


def test_without_a_place_to_write_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert folder_here(tmp_path / "file", machine()) is None
    assert folder_here(None, machine()) is None


def test_two_do_not_compile_at_the_same_time(tmp_path: Path) -> None:
    inside, most = 0, 0

    def compile_once() -> None:
        nonlocal inside, most
        with one_at_a_time(tmp_path):
            inside += 1
            most = max(most, inside)
            threading.Event().wait(0.02)
            inside -= 1

    threads = [threading.Thread(target=compile_once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


def test_code_in_a_folder_that_was_moved_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: Callable[[], None]
) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    for folder in ("before", "moved"):
        prepare_jax(tmp_path / folder)
        forget()
        compiled(lambda x: np.float32(3) * x + np.float32(1), placed(np.float32(1)), cache=tmp_path / folder)
        kept = {path.name for path in (tmp_path / folder).glob("jit*-cache")}
        if folder == "before":
            assert kept
            before = kept
            shutil.copytree(tmp_path / folder, tmp_path / "moved")
    assert kept == before


def test_a_folder_that_the_user_names_to_jax_is_taken_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: Callable[[], None]
) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "of the user"))
    prepare_jax(tmp_path / "of the models")
    forget()
    compiled(lambda x: np.float32(5) * x, placed(np.float32(1)), cache=tmp_path / "of the models")
    assert list((tmp_path / "of the user").glob("jit*-cache")) and not (tmp_path / "of the models").exists()
