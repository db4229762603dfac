"""A computation stays in the thread that asks for it, and does not depend on how many cores there are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from forwardtrader.models.forecasters.xla import compiled, placed
from tests import ROOT


def one_network(cores: set[int]) -> Any:
    """What `tests.models.one_network` says in a fresh process that may use these cores, compiled there."""
    command = [sys.executable, "-m", "tests.models.one_network", *map(str, cores)]
    env = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    return json.loads(subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=300).stdout)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores to choose from")
def test_a_network_is_the_same_on_one_core_as_on_all_and_made_by_one_thread() -> None:
    everywhere = os.sched_getaffinity(0)
    on_one, on_all = one_network({min(everywhere)}), one_network(everywhere)
    assert on_all["made"] == on_one["made"]
    assert on_all["share_of_asker"] > 0.95


def test_an_option_that_this_version_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.models.forecasters.xla._ORDERS", ({"xla_cpu_of_another_version": True},))
    assert float(compiled(lambda x: x + 1, placed(1.0))(placed(2.0))) == 3.0
