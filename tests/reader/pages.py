"""The commands of README and docs, as they stand there, and what becomes of each when a reader types it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from tests import ROOT

PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_COMMAND: Final = r"(?:python (?:-m )?[\w./]+|forwardtrader [a-z])"
_LINE: Final = re.compile(rf"^\s*(?:\$ )?({_COMMAND}.*)$", re.M)
_SPAN: Final = re.compile(rf"`({_COMMAND}[^`|]*)`")
_MODEL: Final = "$(basename $(dirname $(find var/models -name card.json | head -1)))"
_RUN: Final = "$(ls reports/output/*/run.json | cut -d/ -f3"
# What a page has a name for, and the reader has another.
_WORDS: Final = {
    "NAME": "demo-1", "FOLDER": "reports/output/*-BTC-USDT-*", "MODULE:CLASS": "trend.py:Trend", "FILE:CLASS": "trend.py:Trend",
    "FILE:NAME": "my_model.py:Ridge", "FILE": "BTCUSDT-1h.csv", "TEXT": "tried", "MODEL": _MODEL,
    "20261122-151402": f"{_RUN} | head -1)", "20261123-091130": f"{_RUN} | tail -1)", "parity practice": "parity demo-1",
    "logs btc --follow": "logs demo-1 --follow",
}  # fmt: skip


class Fate(Enum):
    """What becomes of a command."""

    ENDS = "it ends by itself, with 0"
    RUNS = "it runs until it is stopped"
    STEERS = "it needs a session that runs"
    ASKS = "something is missing, and one line says what: it ends with 2"
    ELSEWHERE = "it is run elsewhere, or needs what a test does not have"


_DAYS: Final = "--from 2024-05-01 --to 2024-08-31"

# The first pattern that is found says what becomes of a command, and why where it is not run.
_FATES: Final[tuple[tuple[str, Fate, str], ...]] = (
    (r"--help", Fate.ENDS, ""),
    (r"-m benchmarks\.(?:train|backtest|loop|latency|sandbox|scale)\b", Fate.ELSEWHERE, "measured by `make bench`"),
    (r"-m benchmarks\.", Fate.ELSEWHERE, "a measurement of minutes or hours"),
    (r"-m tests\.soak", Fate.ELSEWHERE, "run by `make soak`"),
    (r"-m tests\.simulation", Fate.ELSEWHERE, "run by `make simulate`"),
    (r"overreaction", Fate.ELSEWHERE, "needs the baseline that the page has its reader add"),
    (r"FoundationForecaster|KronosForecaster", Fate.ELSEWHERE, "needs weights"),
    (r"--cluster tcp", Fate.ELSEWHERE, "needs a cluster; tests/models/parallel has one"),
    (r"--sync-firestore", Fate.ELSEWHERE, "needs Firestore; tests/live/mirror/test_sync.py has a store"),
    (r"-firestore", Fate.ELSEWHERE, "needs Firestore; tests/live/preflight/test_takeover.py has an emulator"),
    (r"--yes-real-money|--exchange okx", Fate.ELSEWHERE, "needs a real venue"),
    (r"forwardtrader download", Fate.ELSEWHERE, "needs a real venue; tests/feeds/fetching has a practice exchange"),
    (r"--check --session btc", Fate.ELSEWHERE, "needs a real venue"),
    (r"(?:run_live\.py|forwardtrader live)(?=.*--paper)(?!.*--sandbox)", Fate.ELSEWHERE, "needs a real venue"),
    (r"run_live\.py --strategy my", Fate.ELSEWHERE, "needs a real venue"),
    (r"--factor fear_greed", Fate.ELSEWHERE, "needs the sources of factors; tests/feeds/fetching has them on loopback"),
    (r"run_live\.py --check$", Fate.ELSEWHERE, "needs a real venue"),
    (r"--beyond-this-machine", Fate.ELSEWHERE, "needs that address"),
    (r"--session tutorial", Fate.ENDS, ""),
    (r"--status|forwardtrader status|--pause|--resume|--flatten", Fate.STEERS, ""),
    (r"forwardtrader logs .*--follow", Fate.RUNS, ""),
    (r"forwardtrader logs btc", Fate.STEERS, ""),
    (r"(?:run_live\.py|forwardtrader live).*--bars", Fate.ENDS, ""),
    (r"run_live\.py|forwardtrader live|forwardtrader serve|-m sandbox", Fate.RUNS, ""),
    (r"import(?: --kind mark --timeframe 1m)?$", Fate.ASKS, ""),
    (r"parity\s*$|models\.registry$|check-strategy$|check-forecaster$|python -m reports$", Fate.ASKS, ""),
    (r"python run_backtest\.py (--audit|--strategy my_module:MyStrategy)$", Fate.ENDS, ""),
)


@dataclass(frozen=True)
class Shown:
    """A command of a page, and as the reader types it."""

    page: str
    text: str

    @property
    def typed(self) -> str:
        """Without what is optional, with names of the reader's own, and over days of theirs: a few months, which do not take long."""
        text = re.sub(r"\s\[[^\]]*\]", "", self.text)
        if re.search(r"run_backtest\.py|forwardtrader backtest", text) and not re.search(r"--help|--timeframe|--to 2022-03-01", text):
            text = re.sub(r"\s--(?:from|to) \S+", "", text)
            text = re.sub(r"(run_backtest\.py|forwardtrader backtest)", rf"\1 {_DAYS}", text)
        for word, own in sorted(_WORDS.items(), key=lambda item: -len(item[0])):
            text = re.sub(rf"(?<![\w/.-]){re.escape(word)}(?![\w:=])", lambda _found, own=own: own, text)
        return text.replace("HOST", "127.0.0.1")

    @property
    def fate(self) -> Fate:
        return next((fate for pattern, fate, _ in _FATES if re.search(pattern, self.text)), Fate.ENDS)

    @property
    def why(self) -> str:
        return next((why for pattern, _, why in _FATES if re.search(pattern, self.text)), "")


def commands(page: Path) -> list[Shown]:
    """Every command of a page once, in the page's order; lines that end with a backslash go on."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    found = sorted([*_LINE.finditer(text), *_SPAN.finditer(text)], key=lambda match: match.start())
    texts = (re.sub(r"\s+", " ", re.sub(r"\s{2,}(?:#|[a-z]+ [a-z]+ ).*$", "", match[1])).strip() for match in found)
    return [Shown(page.name, each) for each in dict.fromkeys(texts)]
