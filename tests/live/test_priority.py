"""What works beside a session gives way to it."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from forwardtrader.live.priority import give_way


@pytest.mark.skipif(sys.platform == "win32", reason="priorities are classes there")
def test_a_child_that_gives_way_is_nice_and_one_that_is_gone_is_no_error() -> None:
    # In a session of its own, as every such child is: the weight of a session is that of all its processes, and would be the tests' too.
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as child:
        give_way(child.pid)
        assert psutil.Process(child.pid).nice() == 10
        child.communicate(b"\n")
    give_way(child.pid)
