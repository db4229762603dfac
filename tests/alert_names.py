"""The names of all alerts, as they stand in the code."""

from __future__ import annotations

import re

from forwardtrader.core.settings import RiskSettings
from forwardtrader.feeds.live.merge import Agreement
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.monitoring import account_alerts, trading_state_alerts
from forwardtrader.live.monitoring.watchdog import Signs, troubles
from forwardtrader.live.telegram.alert_filter import SUMMARY
from tests import ROOT

_COMMANDS = (ControlCommand.PAUSE, ControlCommand.RESUME, ControlCommand.FLATTEN, ControlCommand.KILL)


def alert_names() -> set[str]:
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "live").rglob("*.py"))]
    named = {name for text in sources for name in re.findall(r'(?:notify|\.count)\(\s*"([a-z]+_[a-z_]+)"', text)}
    named |= {kind for kind, _ in trading_state_alerts._KINDS.values()} | set(account_alerts._KINDS.values())
    named |= {f"venues_{agreement}" for agreement in Agreement} | {f"command_{verb}" for verb in _COMMANDS} | {SUMMARY}
    return named | set(troubles(Signs(bar_age_s=9e9, turn_age_s=9e9, clock_offset_s=9e9), RiskSettings(), 1.0))
