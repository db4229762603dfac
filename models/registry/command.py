"""`python -m models.registry`: list saved models, promote one, roll one back.

A promotion holds in every running and coming session of the model's symbols and bars (or in the one named), from the next bar on, until
the next model of the calendar takes over or it is rolled back.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from forwardtrader.core.clock import Clock
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.command.terminal import print_table
from forwardtrader.core.config import load_settings
from forwardtrader.core.errors import ConfigError, FingerprintMismatch
from forwardtrader.models.registry.card import ModelCard, code_version
from forwardtrader.models.registry.promotion_log import (
    Author,
    PromotionAction,
    PromotionRecord,
    in_force,
    market_of,
    promotion_stack,
    visible,
)
from forwardtrader.models.registry.store import ModelRegistry

_COLUMNS: Final = ("model", "market", "boundary", "learned from", "loss", "standing")


def promote(registry: ModelRegistry, beginning: str, reason: str, clock: Clock, session: str = "") -> PromotionRecord:
    """Order that a model be in force.

    Raises:
        NotTrained: there is no such model.
        FingerprintMismatch: it was trained by other code, so its forecasts would differ.
        ConfigError: it is in force already.
    """
    card = registry.find(beginning)
    if card.code_version != code_version():
        raise FingerprintMismatch(f"model {card.model_id} was trained by another version of this software; train it again")
    market = market_of(card.symbols, card.timeframe)
    before = in_force(visible(registry.promotions.entries(), market, session)) or ""
    if before == card.model_id:
        raise ConfigError(f"model {card.model_id} is in force already{_where(session)}; see `python -m models.registry list`")
    entry = PromotionRecord(
        at=clock.now(), market=market, action=PromotionAction.PROMOTED, by=Author.PERSON, model_id=card.model_id, other=before,
        reason=reason, session=session,
    )  # fmt: skip
    registry.promotions.add(entry)
    return entry


def rollback(registry: ModelRegistry, reason: str, clock: Clock, *, market: str = "", session: str = "") -> PromotionRecord:
    """Order that the model in force give way to the one before it.

    Args:
        market: as `market_of` writes it; may be left out where only one has promotions.

    Raises:
        ConfigError: nothing was promoted there, or the market is not clear.
    """
    entries = registry.promotions.entries()
    chosen = market or _only_market(entries, session)
    stack = promotion_stack(visible(entries, chosen, session))
    if not stack:
        raise ConfigError(f"no model was promoted for {chosen}{_where(session)}; see `python -m models.registry list`")
    if session and len(stack) == 1:
        raise ConfigError(f"model {stack[-1]} is the first{_where(session)}: there is none to go back to; promote another one")
    entry = PromotionRecord(
        at=clock.now(), market=chosen, action=PromotionAction.ROLLED_BACK, by=Author.PERSON, model_id=stack[-2] if len(stack) > 1 else "",
        other=stack[-1], reason=reason, session=session,
    )  # fmt: skip
    registry.promotions.add(entry)
    return entry


def standing(entries: Sequence[PromotionRecord], card: ModelCard) -> str:
    """Status text: where the model is in force, or what became of it."""
    market = market_of(card.symbols, card.timeframe)
    own = [e for e in entries if e.market == market]
    scopes = sorted({e.session for e in own})
    there = [scope or "every session" for scope in scopes if in_force(visible(own, market, scope)) == card.model_id]
    if there:
        return f"in force in {', '.join(there)}"
    last = next((e for e in reversed(own) if card.model_id in (e.model_id, e.other)), None)
    if last is None:
        return ""
    if last.model_id == card.model_id:
        return "was in force"
    return {PromotionAction.PROMOTED: "replaced", PromotionAction.KEPT: "refused", PromotionAction.ROLLED_BACK: "rolled back"}[last.action]


def _only_market(entries: Sequence[PromotionRecord], session: str) -> str:
    markets = sorted({e.market for e in entries if e.session == session})
    if len(markets) == 1:
        return markets[0]
    if markets:
        raise ConfigError(f"promotions were made for {'; '.join(markets)}: say which with --market")
    sessions = sorted({e.session for e in entries if e.session})
    hint = f"; sessions with models of their own: {', '.join(sessions)} (say --session)" if sessions and not session else ""
    raise ConfigError(f"no model was promoted{_where(session)}{hint}; see `python -m models.registry list`")


def _where(session: str) -> str:
    return f" in session {session!r}" if session else ""


def run_registry(given: argparse.Namespace, clock: Clock) -> int:
    registry = ModelRegistry(typed_path(given.models) if given.models else Path(load_settings().models.save_path))
    console = Console(highlight=False)
    if given.command == "list":
        _list(registry, given, console)
    elif given.command == "show":
        _show(registry, given, console)
    elif given.command == "promote":
        entry = promote(registry, given.model, given.reason, clock, given.session)
        console.print(f"model {entry.model_id} is to be in force for {entry.market}{_where(entry.session)} from the next bar on")
    else:
        entry = rollback(registry, given.reason, clock, market=given.market, session=given.session)
        after = f"model {entry.model_id}" if entry.model_id else "the model of the calendar"
        console.print(f"model {entry.other} gives way to {after} for {entry.market}{_where(entry.session)} from the next bar on")
    return 0


def _list(registry: ModelRegistry, given: argparse.Namespace, console: Console) -> None:
    known, troubles = registry.survey()
    cards = [card for card in known if not given.symbol or given.symbol in card.symbols]
    entries = registry.promotions.entries()
    for trouble in troubles:
        sys.stderr.write(trouble + "\n")
    if given.json:
        sys.stdout.write(json.dumps([_facts(card) | {"standing": standing(entries, card)} for card in cards], indent=1) + "\n")
        return
    if not cards:
        console.print(f"no models in {registry.root}; run_backtest.py and run_live.py put them there")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name == "loss" else "left", no_wrap=name in ("model", "boundary"))
    for card in cards:
        table.add_row(*_row(card, standing(entries, card)))
    print_table(console, table)


def _row(card: ModelCard, stands: str) -> list[str]:
    text = stands if card.code_version == code_version() else ", ".join(filter(None, (stands, "made by other code")))
    learned = f"{card.train_from[:10]} .. {card.train_to[:10]}"
    return [card.model_id, market_of(card.symbols, card.timeframe), card.boundary[:10], learned, f"{card.train_loss:.4f}", text]


def _facts(card: ModelCard) -> dict[str, Any]:
    return {name: value for name, value in card.model_dump(mode="json").items() if name not in ("calibrations", "features")}


def _show(registry: ModelRegistry, given: argparse.Namespace, console: Console) -> None:
    card = registry.find(given.model)
    entries = registry.promotions.entries()
    story = [e for e in entries if card.model_id in (e.model_id, e.other)]
    if given.json:
        text = card.model_dump(mode="json") | {
            "standing": standing(entries, card),
            "history": [e.model_dump(mode="json") for e in story],
        }
        sys.stdout.write(json.dumps(text, indent=1) + "\n")
        return
    facts = Table(box=None, show_header=False, pad_edge=False)
    for name, value in {**_facts(card), "features": f"{len(card.features)}", "standing": standing(entries, card) or "-"}.items():
        facts.add_row(name.replace("_", " "), str(value))
    print_table(console, facts)
    if story:
        history = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("at", "what", "by", "session", "since", "reason"):
            history.add_column(name)
        for e in story:
            what = f"{e.action} over {e.other}" if e.other == card.model_id else str(e.action)
            history.add_row(
                f"{e.at:%Y-%m-%d %H:%M}", what, str(e.by), e.session or "all", f"{e.since:%Y-%m-%d %H:%M}" if e.since else "", e.reason
            )
        print_table(console, history)
