"""What code of the user's changes for the whole process is as it was after it."""

from __future__ import annotations

import decimal
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.user_code.process_state import process_state_kept


def test_orders_are_rounded_and_logs_written_as_before_it(tmp_path: Path) -> None:
    handlers, level, folder = list(logging.root.handlers), logging.root.level, Path.cwd()
    precision, rounding, heard = decimal.getcontext().prec, decimal.getcontext().rounding, np.geterr()
    with pytest.raises(RuntimeError, match="as users do"), process_state_kept():
        decimal.getcontext().prec = 3
        decimal.getcontext().rounding = decimal.ROUND_UP
        logging.disable(logging.CRITICAL)
        logging.basicConfig(level=logging.DEBUG, force=True)
        os.chdir(tmp_path)
        np.seterr(all="raise")
        raise RuntimeError("as users do")
    assert (decimal.getcontext().prec, decimal.getcontext().rounding) == (precision, rounding)
    assert decimal.Decimal("1.23456789") + 0 == decimal.Decimal("1.23456789")
    assert logging.root.manager.disable == 0 and logging.root.handlers == handlers
    assert logging.root.level == level
    assert Path.cwd() == folder and np.geterr() == heard
