"""The setup of a session: the plan of its first start holds for every later one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forwardtrader.core.errors import StartRefused
from tests.live.session_runner import request_for, run


def test_a_session_cannot_go_on_with_other_symbols(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 3))
    with pytest.raises(StartRefused, match="symbols"):
        run(request_for(tmp_path, "one", 3, symbols=("BTC/USDT",)))


def test_a_session_of_another_version_is_resumed_when_the_settings_that_both_know_are_equal(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 3))
    path = tmp_path / "one" / "plan.json"
    plan = json.loads(path.read_text())
    plan["models"]["carry"] = 2.0  # a setting that is gone
    del plan["strategies"]["min_trade"]  # one that this version brought
    path.write_text(json.dumps(plan))
    assert run(request_for(tmp_path, "one", 3)) == 0
    plan["models"]["units"] += 1
    path.write_text(json.dumps(plan))
    with pytest.raises(StartRefused, match=r"was started with models.units \d+, not"):
        run(request_for(tmp_path, "one", 3))
