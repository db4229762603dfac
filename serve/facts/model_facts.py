"""The models that are kept: what each learned from, which it goes on from, where it is in force, and every decision with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.models.registry.card import ModelCard, code_version
from forwardtrader.models.registry.command import standing
from forwardtrader.models.registry.promotion_log import PromotionRecord, market_of
from forwardtrader.models.registry.store import ModelRegistry

_SHOWN: Final = 60  # models of a market, and decisions: the newest


@dataclass(frozen=True)
class ModelRow:
    """A model: its card, where it stands, and whether other code made it, so that it cannot be promoted.

    `line` names the models that it goes on from, the nearest first.
    """

    card: ModelCard
    stands: str
    is_other_code: bool
    line: tuple[str, ...]


@dataclass(frozen=True)
class Market:
    """The models of some symbols and bars, newest first, and what was decided about them, newest first; `more` models are not shown."""

    name: str
    models: tuple[ModelRow, ...]
    decisions: tuple[PromotionRecord, ...]
    more: int = 0


@dataclass(frozen=True)
class ModelFacts:
    """All markets that have models or decisions, and why some models cannot be read."""

    markets: tuple[Market, ...]
    troubles: tuple[str, ...]


class ModelShelf:
    """The models below a folder; read again only when something changed there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: tuple[tuple[object, ...], ModelFacts] | None = None

    def marks(self) -> tuple[object, ...]:
        """What changes with the models and the decisions."""
        files = [*sorted(self._root.glob("*/card.json")), self._root / "appointments.json"]
        return tuple((path.parent.name, *_times(path)) for path in files)

    def facts(self) -> ModelFacts:
        """Everything that is known of them now."""
        marks = self.marks()
        if self._known is None or self._known[0] != marks:
            self._known = marks, _read(self._root)
        return self._known[1]


def _times(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _read(root: Path) -> ModelFacts:
    registry = ModelRegistry(root)
    cards, troubles = registry.survey()
    try:
        entries = registry.promotions.entries()
    except FingerprintMismatch as trouble:
        entries, troubles = [], [*troubles, str(trouble)]
    by_market: dict[str, list[ModelCard]] = {entry.market: [] for entry in entries}
    for card in cards:
        by_market.setdefault(market_of(card.symbols, card.timeframe), []).append(card)
    known = {card.model_id: card for card in cards}
    markets = [_market(name, own, entries, known) for name, own in by_market.items()]
    return ModelFacts(tuple(sorted(markets, key=lambda market: market.name)), tuple(troubles))


def _market(name: str, cards: Sequence[ModelCard], entries: Sequence[PromotionRecord], known: Mapping[str, ModelCard]) -> Market:
    own = [entry for entry in entries if entry.market == name]
    newest = cards[::-1][:_SHOWN]
    rows = [ModelRow(card, standing(own, card), card.code_version != code_version(), line_of(card, known)) for card in newest]
    return Market(name, tuple(rows), tuple(own[::-1][:_SHOWN]), len(cards) - len(newest))


def line_of(card: ModelCard, known: Mapping[str, ModelCard]) -> tuple[str, ...]:
    """The ids of the models that one goes on from, the nearest first."""
    found: list[str] = []
    before = card.goes_on_from
    while before and before not in found:
        found.append(before)
        before = known[before].goes_on_from if before in known else ""
    return tuple(found)
