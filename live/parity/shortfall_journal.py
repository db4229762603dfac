"""The orders of a session, from its journal and its bars, as `live.parity.shortfall` wants them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

import pandas as pd

from forwardtrader.core.types import Side
from forwardtrader.live.execution.events import Execution, Intent, arrival_name
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.parity.shortfall import Sent


def sent_orders(folder: Path, candles: Mapping[str, pd.DataFrame]) -> list[Sent]:
    """Every order of the session in `folder` that went to the venue or was meant to; `candles` are the session's own."""
    path = folder / "journal.db"
    if not path.is_file():
        return []
    journal = Journal(path)
    try:
        return list(_read(journal, candles))
    finally:
        journal.close()


def _read(journal: Journal, candles: Mapping[str, pd.DataFrame]) -> Iterator[Sent]:
    closes = {s: dict(zip(_times(frame), frame["close"].tolist(), strict=True)) for s, frame in candles.items()}
    intents = [intent for intent, _ in journal.intents()]
    seen = {i.client_id: journal.recall(arrival_name(i.client_id)) or {} for i in intents}
    usual = _usual_spread(intents, seen)
    for intent in intents:
        known = closes.get(intent.symbol, {})
        if intent.bar not in known:
            continue
        told = seen[intent.client_id]
        step = min((b - a for a, b in itertools.pairwise(sorted(known))), default=0)
        later = known.get(intent.bar + step) if step else None
        quoted = told.get("half_spread", usual.get(intent.symbol))
        yield _sent(intent, journal.executions(intent.client_id), known[intent.bar], told.get("last"), quoted, later)


def _sent(
    intent: Intent, executions: list[Execution], close: float, arrival: float | None, quoted: float | None, later: float | None
) -> Sent:
    request = intent.request
    filled = float(sum(e.size for e in executions))
    paid = float(sum(e.size * e.price for e in executions)) / filled if filled else 0.0
    base, quote = request.symbol.split("/")
    own = request.limit_price if request.limit_price is not None else request.stop_price
    return Sent(
        at=intent.bar, symbol=request.symbol, side="buy" if request.side is Side.BUY else "sell", wished=float(request.size),
        filled=filled, paid=paid, decision=close, own_price=float(own) if own is not None else None, arrival=arrival, quoted=quoted,
        takes=request.limit_price is None, later=later,
        fees=sum(float(e.fee * e.price if e.fee_currency == base else e.fee) for e in executions if e.fee_currency in (base, quote)),
    )  # fmt: skip


def _usual_spread(intents: list[Intent], seen: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The middle of a symbol's quotes, for orders after which none was to be had."""
    found: dict[str, list[float]] = {}
    for intent in intents:
        if "half_spread" in seen[intent.client_id]:
            found.setdefault(intent.symbol, []).append(seen[intent.client_id]["half_spread"])
    return {symbol: median(values) for symbol, values in found.items()}


def _times(frame: pd.DataFrame) -> list[int]:
    index = pd.DatetimeIndex(frame.index)
    times: list[int] = (index.as_unit("ns").asi8 // 1_000_000).tolist()
    return times
