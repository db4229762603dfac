"""The setup of a session: the plan of its first start holds for every later one."""

from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.core.errors import StartRefused
from tests.live.session_runner import request_for, run


def test_a_session_cannot_go_on_with_other_symbols(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 3))
    with pytest.raises(StartRefused, match="symbols"):
        run(request_for(tmp_path, "one", 3, symbols=("BTC/USDT",)))
